/** The code blocks of a document: which there are, and what they say. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { packagePath } from './shared.js'

export interface Block {
  /** Name of the document, without its end. */
  readonly document: string
  /** What follows the fence: `sh`, `ts`, `tsv`, ... */
  readonly language: string
  readonly text: string
  /** Of its first line, counted from 1. */
  readonly line: number
  /** The file that the line above the fence names, as `` `reviews.tsv`: ``; the block is its content. */
  readonly file: string | undefined
}

/** Blocks of a Markdown file of the package, in order. */
export function readBlocks(...path: string[]): Block[] {
  return blocksOf(readFileSync(packagePath(...path), 'utf8'), basename(path.at(-1)!, '.md'))
}

function blocksOf(markdown: string, document: string): Block[] {
  const lines = markdown.split('\n')
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)```(\S*)/.exec(lines[i]!)
    if (!fence) continue
    const [, indent = '', language = ''] = fence
    const end = lines.findIndex((line, at) => at > i && line.trim() === '```')
    if (end < 0) throw new Error(`${document}, line ${i + 1}: the code block has no end`)
    const content = lines.slice(i + 1, end).map((line) => line.slice(indent.length))
    const above = lines.slice(0, i).findLast((line) => line.trim() !== '') ?? ''
    const file = /`([^`\s]+\.[a-z]+(?:\.gz)?)`:$/.exec(above.trim())?.[1]
    blocks.push({ document, language, text: `${content.join('\n')}\n`, line: i + 2, file })
    i = end
  }
  return blocks
}
