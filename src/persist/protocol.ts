/**
 * What main and the thread of `filesystem({ path })` say to each other.
 *
 * Owns no code. A state to be stored travels in pieces, so that no moment of main's copies all of it.
 */

export interface FilesConfig {
  readonly path: string;
}

export type FilesRequest =
  | { readonly t: "init" | "load"; readonly partition: string }
  | { readonly t: "append"; readonly partition: string; readonly bytes: Uint8Array }
  | { readonly t: "begin"; readonly partition: string }
  | { readonly t: "piece"; readonly partition: string; readonly bytes: Uint8Array }
  | { readonly t: "finish"; readonly partition: string };

export interface ToFiles {
  readonly serial: number;
  readonly request: FilesRequest;
}

export type FromFiles =
  | { readonly serial: number; readonly bytes: Uint8Array | undefined }
  | { readonly serial: number; readonly problem: string };
