/** Where the nodes of an export get a task's tensors from. */

import { DataType } from '../onnx/schema.js'
import type { Tensors } from './target.js'
import type { ModelEdit } from './edit.js'
import { bytesTensor, type NodeMaker } from './nodes.js'
import { valueInfo } from './write.js'

export interface ParameterSource {
  /** True where every row of a batch has tensors of its own. */
  readonly mixed: boolean
  has(parameter: string): boolean
  /** A matrix [out, in], turned for the right side of a product: [in, out], or [B, in, out] where mixed. */
  matrix(make: NodeMaker, parameter: string): string
  /** A vector over the last axis of [B, S, n]: [n], or [B, 1, n] where mixed. */
  vector(make: NodeMaker, parameter: string): string
}

/** The tensors are initializers under their public names, in their public layout. */
export class FixedParameters implements ParameterSource {
  readonly mixed = false
  readonly #names = new Map<string, string>()

  constructor(
    private readonly edit: ModelEdit,
    private readonly tensors: Tensors,
  ) {}

  has(parameter: string): boolean {
    return this.tensors.has(parameter)
  }

  matrix(make: NodeMaker, parameter: string): string {
    return make.add('Transpose', [this.vector(make, parameter)], { perm: [1, 0] })
  }

  vector(_make: NodeMaker, parameter: string): string {
    const before = this.#names.get(parameter)
    if (before !== undefined) return before
    const { data, shape } = this.tensors.get(parameter)!
    const name = this.edit.fresh(parameter)
    this.edit.addTensor(bytesTensor(name, DataType.float, shape, data))
    this.#names.set(parameter, name)
    return name
  }
}

/** The tensors are inputs of the graph under their public names; mixed, those of all tasks stand in a stack. */
export class InputParameters implements ParameterSource {
  readonly #names = new Map<string, string>()

  /**
   * @param shapes of the tensors of one task; a text is a size that may vary
   * @param taskIndex input that has the task of each row; where it is absent, one task is for all
   */
  constructor(
    private readonly edit: ModelEdit,
    private readonly shapes: ReadonlyMap<string, readonly (number | string)[]>,
    private readonly taskIndex?: string,
  ) {}

  get mixed(): boolean {
    return this.taskIndex !== undefined
  }

  /** Inputs by the public names of the tensors. */
  get names(): ReadonlyMap<string, string> {
    return this.#names
  }

  has(parameter: string): boolean {
    return this.shapes.has(parameter)
  }

  matrix(make: NodeMaker, parameter: string): string {
    const rows = this.#rows(make, parameter)
    return make.add('Transpose', [rows], { perm: this.mixed ? [0, 2, 1] : [1, 0] })
  }

  vector(make: NodeMaker, parameter: string): string {
    const rows = this.#rows(make, parameter)
    return this.mixed ? make.reshape(rows, [0, 1, -1]) : rows
  }

  #rows(make: NodeMaker, parameter: string): string {
    const input = this.#input(parameter)
    return this.taskIndex === undefined ? input : make.add('Gather', [input, this.taskIndex], { axis: 0 })
  }

  #input(parameter: string): string {
    const before = this.#names.get(parameter)
    if (before !== undefined) return before
    const name = this.edit.fresh(parameter)
    const shape = this.shapes.get(parameter)!
    this.edit.inputs.push(valueInfo(name, DataType.float, this.mixed ? ['tasks', ...shape] : shape))
    this.#names.set(parameter, name)
    return name
  }
}
