/** A document as indented JSON, lists of numbers on one line each. */
export function resultJson(value: unknown): string {
  const text = JSON.stringify(value, null, 1)
  return `${text.replace(/\[\s+(-?\d[-+\d.,e\s]*?)\s+\]/g, (_, numbers: string) => `[${numbers.split(/,\s+/).join(', ')}]`)}\n`
}
