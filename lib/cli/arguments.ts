/** Parsers of flags' values, for commander. */

import { InvalidArgumentError } from 'commander'

export function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Expected a number.')
  return value
}

export function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

const rateForms = 'Expected a number, or hidden=..,attention=..,head=.. with each place once.'

/** `0.1`, or `hidden=0.1,attention=0,head=0.2`. */
export function dropout(text: string): number | Record<string, number> {
  if (!text.includes('=')) {
    if (Number.isNaN(Number(text))) throw new InvalidArgumentError(rateForms)
    return number(text)
  }
  const rates: Record<string, number> = {}
  for (const part of list(text)) {
    const [name = '', value = '', ...rest] = part.split('=')
    if (name === '' || rest.length > 0 || Object.hasOwn(rates, name)) throw new InvalidArgumentError(rateForms)
    rates[name] = number(value)
  }
  return rates
}

/** `all`, or `0,1,5`. */
export function layers(text: string): 'all' | number[] {
  return text === 'all' ? 'all' : list(text).map(number)
}

/** `adapters,layernorm,head`, `all`, or `top-2`. */
export function trainable(text: string): string[] | 'all' | { topLayers: number } {
  if (text === 'all') return 'all'
  const top = /^top-(.+)$/.exec(text)
  if (top) return { topLayers: number(top[1]!) }
  return list(text).map((part) => (part.toLowerCase() === 'layernorm' ? 'layerNorm' : part))
}
