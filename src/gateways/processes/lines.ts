/**
 * A stream of text in lines, each told once it is whole.
 *
 * Owns what came of a line that is not whole yet; a longer one than anybody reads is told in pieces.
 */
import { StringDecoder } from "node:string_decoder";

const LONGEST = 65_536;

export class Lines {
  #rest = "";
  readonly #decoder = new StringDecoder("utf8");
  readonly #tell: (line: string) => void;

  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#tell(line.endsWith("\r") ? line.slice(0, -1) : line);
    while (this.#rest.length > LONGEST) {
      this.#tell(this.#rest.slice(0, LONGEST));
      this.#rest = this.#rest.slice(LONGEST);
    }
  }

  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (rest !== "") this.#tell(rest);
  }
}
