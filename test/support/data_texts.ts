/** The texts of the shared data files, as the scripts of test/golden read them: no reader of the package is trusted. */
import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'

interface Squad {
  readonly data: readonly {
    readonly paragraphs: readonly { readonly context: string; readonly qas: readonly { readonly question: string }[] }[]
  }[]
}

/** Rows in the order in which make_token_hashes.py reads them. */
export async function textRows(file: string): Promise<(string | undefined)[][]> {
  const content = await read(file)
  if (isSquad(file)) {
    return paragraphs(content).flatMap(({ context, qas }) => qas.map(({ question }) => [question, context]))
  }
  const lines = content.split('\n').filter((line) => line !== '')
  if (/\.jsonl(\.gz)?$/.test(file)) return lines.map((line) => [(JSON.parse(line) as { text: string }).text])
  const header = lines[0]!.split('\t')
  const texts = header.flatMap((name, column) => (name === 'label' ? [] : [column]))
  return lines.slice(1).map((line) => {
    const fields = line.split('\t')
    return texts.map((column) => fields[column])
  })
}

/** Single texts in the order in which make_offset_hashes.py reads them. */
export async function eachText(file: string): Promise<string[]> {
  if (isSquad(file)) {
    return paragraphs(await read(file)).flatMap(({ context, qas }) => [context, ...qas.map(({ question }) => question)])
  }
  return (await textRows(file)).flat().filter((text) => text !== undefined)
}

async function read(file: string): Promise<string> {
  const bytes = await readFile(file)
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
}

function isSquad(file: string): boolean {
  return /\.json(\.gz)?$/.test(file)
}

function paragraphs(content: string): Squad['data'][number]['paragraphs'][number][] {
  return (JSON.parse(content) as Squad).data.flatMap((article) => article.paragraphs)
}
