import { DataError } from '../../errors.js'

/** One part of a finished row: special tokens, or the tokens of the first or second text. */
export type TemplateItem =
  { readonly ids: readonly number[]; readonly type: number } | { readonly text: 'A' | 'B'; readonly type: number }

export interface Template {
  readonly single: readonly TemplateItem[]
  readonly pair: readonly TemplateItem[]
}

/** As a tokenizer.json has it. */
export interface PostProcessor {
  readonly type: string
  readonly [key: string]: unknown
}

type SpecialTokens = Readonly<Record<string, { readonly ids: readonly number[] }>>

type JsonItem =
  | { readonly SpecialToken: { readonly id: string; readonly type_id: number } }
  | { readonly Sequence: { readonly id: 'A' | 'B'; readonly type_id: number } }

const first = (type = 0): TemplateItem => ({ text: 'A', type })
const second = (type: number): TemplateItem => ({ text: 'B', type })

/**
 * What the post-processor of a tokenizer.json puts around the texts.
 * @throws DataError ERR_TOKENIZER for a kind of post-processor that is not known
 */
export function readTemplate(processor: PostProcessor | null | undefined): Template {
  if (!processor) return { single: [first()], pair: [first(), second(1)] }
  switch (processor.type) {
    case 'TemplateProcessing': {
      const special = processor.special_tokens as SpecialTokens
      return {
        single: (processor.single as JsonItem[]).map((item) => readItem(item, special)),
        pair: (processor.pair as JsonItem[]).map((item) => readItem(item, special)),
      }
    }
    case 'BertProcessing': {
      const { cls, sep } = endTokens(processor)
      return {
        single: [cls(0), first(), sep(0)],
        pair: [cls(0), first(), sep(0), second(1), sep(1)],
      }
    }
    case 'RobertaProcessing': {
      const { cls, sep } = endTokens(processor)
      return {
        single: [cls(0), first(), sep(0)],
        pair: [cls(0), first(), sep(0), sep(0), second(0), sep(0)],
      }
    }
    case 'ByteLevel':
      return readTemplate(null)
    case 'Sequence': {
      // Only one of a sequence adds tokens; the byte-level one moves offsets alone.
      const adding = (processor.processors as PostProcessor[]).filter(({ type }) => type !== 'ByteLevel')
      if (adding.length <= 1) return readTemplate(adding[0])
    }
  }
  throw new DataError('ERR_TOKENIZER', `the tokenizer's post-processor "${processor.type}" is not supported`, {
    field: 'post_processor',
    found: processor.type,
    expected: 'TemplateProcessing, BertProcessing, RobertaProcessing or ByteLevel',
  })
}

function readItem(item: JsonItem, special: SpecialTokens): TemplateItem {
  if ('Sequence' in item) return { text: item.Sequence.id, type: item.Sequence.type_id }
  const { id, type_id } = item.SpecialToken
  const ids = special[id]?.ids
  if (!ids)
    throw new DataError('ERR_TOKENIZER', `the tokenizer's template uses "${id}", which has no id`, {
      field: 'post_processor',
      found: id,
    })
  return { ids, type: type_id }
}

function endTokens(processor: PostProcessor) {
  const [, cls] = processor.cls as [string, number]
  const [, sep] = processor.sep as [string, number]
  return {
    cls: (type: number): TemplateItem => ({ ids: [cls], type }),
    sep: (type: number): TemplateItem => ({ ids: [sep], type }),
  }
}

/** How many tokens a template adds. */
export function addedTokens(items: readonly TemplateItem[]): number {
  return items.reduce((sum, item) => sum + ('ids' in item ? item.ids.length : 0), 0)
}

/** Where the tokens of a text begin in a row that a template makes of `a` and `b` tokens. */
export function tokensBefore(items: readonly TemplateItem[], text: 'A' | 'B', a: number, b = 0): number {
  const lengthOf = (item: TemplateItem) => ('ids' in item ? item.ids.length : item.text === 'A' ? a : b)
  const end = items.findIndex((item) => 'text' in item && item.text === text)
  return items.slice(0, end).reduce((sum, item) => sum + lengthOf(item), 0)
}

/** Fills a template: token ids and token types of the whole row. */
export function fillTemplate(items: readonly TemplateItem[], a: readonly number[], b: readonly number[]) {
  const inputIds: number[] = []
  const tokenTypeIds: number[] = []
  for (const item of items) {
    for (const id of 'ids' in item ? item.ids : item.text === 'A' ? a : b) {
      inputIds.push(id)
      tokenTypeIds.push(item.type)
    }
  }
  return { inputIds, tokenTypeIds }
}
