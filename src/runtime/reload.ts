/**
 * `watch: true`: an edited job module is picked up without a restart.
 *
 * Owns the watchers. After an edit no body starts in a thread that has loaded the old module, and definitions are read
 * anew here, so that queue, keys and limits follow too. A module that does not load fails the jobs that need it, with the
 * reason; its old definition stays. A new file is not picked up: the registry is made at start.
 */
import type { Catalogue } from "../actors/catalogue.ts";
import type { Logger } from "../actors/services.ts";
import { type LoadedJob, reloadModule } from "../threads/modules/load.ts";
import { ModuleWatch } from "../threads/modules/watch.ts";
import type { ThreadPool } from "../threads/types.ts";

export interface ReloadParts {
  readonly jobs: readonly LoadedJob[];
  readonly pool: ThreadPool;
  readonly catalogue: Catalogue;
  readonly logger: Logger;
}

export class Reload {
  readonly #parts: ReloadParts;
  readonly #watch: ModuleWatch;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    const urls = parts.jobs.map(({ url }) => url);
    this.#watch = new ModuleWatch(urls, (files, edited) => void this.#edited(files, edited));
  }

  stop(): void {
    this.#watch.stop();
  }

  async #edited(files: readonly string[], urls: readonly string[]): Promise<void> {
    const { pool, logger, jobs } = this.#parts;
    const edited = jobs.filter(({ url }) => urls.includes(url));
    // first: no new body runs by what the old definition said
    for (const job of edited) await this.#readAnew(job);
    pool.renew(`edited: ${files.join(", ")}`);
    logger.info(
      `jobs were edited and are loaded anew: ${edited.map((job) => job.definition.name).join(", ")}`,
    );
  }

  async #readAnew({ definition, url }: LoadedJob): Promise<void> {
    const { catalogue, logger } = this.#parts;
    try {
      catalogue.replace(await reloadModule(url, definition.name));
    } catch (error) {
      logger.error(
        `job "${definition.name}" was edited and does not load; its jobs fail until it does`,
        error,
      );
    }
  }
}
