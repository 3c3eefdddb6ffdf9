/** Comlink ships its ES modules without declarations of their own; these are the parts used here. */
declare module "comlink/dist/esm/node-adapter.mjs" {
  import type { MessagePort } from "node:worker_threads";
  import type { Endpoint } from "comlink";
  export default function nodeEndpoint(port: MessagePort): Endpoint;
}
declare module "comlink/dist/esm/comlink.mjs" {
  export * from "comlink";
}
