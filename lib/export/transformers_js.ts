import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { kindOf } from '../backbone/kind.js'
import { resolveBackbone } from '../backbone/resolve.js'
import { ExportError } from '../errors.js'
import { writeAtomic } from '../formats/atomic.js'
import type { TaskKind } from '../kinds.js'
import type { Architecture, EncoderConfig } from '../onnx/import.js'
import type { Warning } from '../train/progress.js'
import { writeOnnx } from './onnx.js'
import { prepareOutput, removeOld } from './output.js'
import { labelsOf } from './ready.js'
import type { ExportedRun, ExportPlace, ExportReport, ExportTarget } from './target.js'

/** The folder that `pipeline()` of @huggingface/transformers loads, in Node.js and in browsers. */
export const transformersJs: ExportTarget = {
  name: 'transformers.js',
  description: 'a folder that pipeline() of @huggingface/transformers loads',
  form: 'folder',
  several: false,
  needsHead: true,
  write: ([run], place) => writeFolder(run!, place),
}

async function writeFolder(run: ExportedRun, place: ExportPlace): Promise<ExportReport> {
  const { backbone } = run
  const { config, tokenizer } = await resolveBackbone(backbone.file)
  if (tokenizer === undefined) {
    throw new ExportError(
      'ERR_EXPORT_UNSUPPORTED',
      `${dirname(backbone.file)}: no tokenizer.json beside the model, which transformers.js needs`,
      { file: backbone.file, expected: 'tokenizer.json' },
    )
  }
  await prepareOutput(place.output, 'folder')
  // The model first: it is what may be refused.
  const model = await writeOnnx(run, { ...place, output: join(place.output, 'onnx', 'model.onnx') })
  const known = ['config.json', 'tokenizer_config.json', ...tokenizerFiles]
  await removeOld(place.output, known)
  const copied = await copyTokenizer(dirname(tokenizer), place.output, run)
  const data = model.files.slice(1).map((file) => basename(file))
  if (!data.includes('model.onnx_data')) await removeOld(join(place.output, 'onnx'), ['model.onnx_data'])
  const content = makeConfig(run, await readConfig(config), data)
  const described = join(place.output, 'config.json')
  await writeAtomic(described, json(content))
  return {
    ...model,
    files: [...model.files, described, ...copied],
    warnings: [...model.warnings, ...doubts(run, data)],
  }
}

const json = (content: unknown) => `${JSON.stringify(content, null, 2)}\n`

async function readConfig(file: string | undefined): Promise<Record<string, unknown> | undefined> {
  if (file === undefined) return undefined
  try {
    const content: unknown = JSON.parse(await readFile(file, 'utf8'))
    return typeof content === 'object' && content !== null ? { ...content } : undefined
  } catch {
    return undefined
  }
}

/** Files of a tokenizer besides its settings. */
const tokenizerFiles = ['tokenizer.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.txt']

async function copyTokenizer(from: string, to: string, { record, backbone }: ExportedRun): Promise<string[]> {
  const written: string[] = []
  for (const name of tokenizerFiles) {
    if ((await kindOf(join(from, name))) !== 'file') continue
    await writeAtomic(join(to, name), await readFile(join(from, name)))
    written.push(join(to, name))
  }
  const given =
    (await readConfig(join(from, 'tokenizer_config.json'))) ?? (await specialTokens(join(from, 'tokenizer.json')))
  // Which class it is says whether there are token types, and little else.
  const general = backbone.imported.inputNames.types === undefined ? 'PreTrainedTokenizer' : 'BertTokenizer'
  const named = String(given['tokenizer_class'] ?? '')
  const settings = { ...given, tokenizer_class: /^(PreTrained|Tokenizers|$)/.test(named) ? general : named }
  const target = join(to, 'tokenizer_config.json')
  // Longer texts are cut where they were in training.
  await writeAtomic(target, json({ ...settings, model_max_length: record.options.maxLength }))
  return [...written, target]
}

/** The names of special tokens that a pipeline asks for, as far as they are among these. */
async function specialTokens(file: string): Promise<Record<string, string>> {
  const content = (await readConfig(file)) ?? {}
  const added = Array.isArray(content['added_tokens']) ? (content['added_tokens'] as { content?: unknown }[]) : []
  const has = (token: string) => added.some((each) => each.content === token)
  const roles: Readonly<Record<string, readonly string[]>> = {
    unk_token: ['[UNK]', '<unk>'],
    sep_token: ['[SEP]', '</s>'],
    pad_token: ['[PAD]', '<pad>'],
    cls_token: ['[CLS]', '<s>'],
    mask_token: ['[MASK]', '<mask>'],
  }
  return Object.fromEntries(
    Object.entries(roles).flatMap(([role, tokens]) => tokens.filter(has).map((token) => [role, token])),
  )
}

const heads: Readonly<Record<TaskKind, string>> = {
  classification: 'ForSequenceClassification',
  regression: 'ForSequenceClassification',
  multilabel: 'ForSequenceClassification',
  span: 'ForQuestionAnswering',
  token: 'ForTokenClassification',
}

const problems: Partial<Record<TaskKind, string>> = {
  classification: 'single_label_classification',
  regression: 'regression',
  multilabel: 'multi_label_classification',
}

const classes: Readonly<Record<string, string>> = {
  bert: 'Bert',
  distilbert: 'DistilBert',
  roberta: 'Roberta',
  'xlm-roberta': 'XLMRoberta',
  camembert: 'Camembert',
  electra: 'Electra',
  albert: 'Albert',
  mpnet: 'MPNet',
} satisfies Record<Architecture | 'xlm-roberta' | 'camembert' | 'mpnet', string>

/** The backbone's own config with what the task adds. @param data names of files with external data */
function makeConfig(
  { backbone, task, record }: ExportedRun,
  given: Record<string, unknown> | undefined,
  data: readonly string[],
): Record<string, unknown> {
  const before = given ?? configOf(backbone.config)
  const type = String(before['model_type'] ?? backbone.config.architecture)
  const labels = labelsOf(record.task) ?? Array.from({ length: task.outputs }, (_, i) => `LABEL_${i}`)
  const problem = problems[task.kind]
  const own = (before['transformers.js_config'] ?? {}) as Record<string, unknown>
  return {
    ...before,
    model_type: type,
    architectures: [`${classes[type] ?? classes[backbone.config.architecture]}${heads[task.kind]}`],
    id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    ...(problem === undefined ? {} : { problem_type: problem }),
    // Browsers would ask for a quantised model else.
    'transformers.js_config': { ...own, dtype: 'fp32', ...(data.length > 0 ? { use_external_data_format: true } : {}) },
  }
}

function configOf(config: EncoderConfig): Record<string, unknown> {
  return {
    model_type: config.architecture,
    vocab_size: config.vocabulary,
    hidden_size: config.hidden,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    intermediate_size: config.feedForward,
    max_position_embeddings: config.positions + config.positionOffset,
    type_vocab_size: config.tokenTypes,
    pad_token_id: config.pad ?? 0,
  }
}

function doubts({ task, name }: ExportedRun, data: readonly string[]): Warning[] {
  const found: Warning[] = []
  if (task.kind === 'regression') {
    const message = `${name}: pipeline() has no regression and gives 1 for all texts: read the logits of AutoModelForSequenceClassification, which are the values`
    found.push({ code: 'WARN_EXPORT_PIPELINE', message })
  }
  const other = data.find((each) => each !== 'model.onnx_data')
  if (other !== undefined) {
    const message = `${name}: its data stays in "${other}", which Node.js finds beside the model, but browsers look for "model.onnx_data"`
    found.push({ code: 'WARN_EXPORT_PIPELINE', message })
  }
  return found
}
