import { AttributeType, type OnnxAttribute } from './schema.js'

/** Attributes of nodes that the importer puts in, by name. */
export type Attributes = Readonly<Record<string, Omit<Partial<OnnxAttribute>, 'name'>>>

export const int = (i: number) => ({ i, type: AttributeType.int })
export const ints = (...values: number[]) => ({ ints: values, type: AttributeType.ints })
export const float = (f: number) => ({ f, type: AttributeType.float })
export const text = (value: string) => ({ s: Buffer.from(value), type: AttributeType.string })
