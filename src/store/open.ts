import { isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { StoreConfig } from "../config/config.ts";
import type { Store, StoreContext } from "./store.ts";

/** The toolkit's own folder, which relative paths and `.env` are resolved from: cron starts anywhere. */
export const TOOLKIT_FOLDER = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Opens the store that is configured; a relative path is one of the toolkit's own folder. Null when it cannot be used, which
 * `context.onProblem` hears of: breakers then keep their state in memory, for as long as the process lives.
 */
export async function openStore(config: StoreConfig, context: StoreContext): Promise<Store | null> {
  try {
    if (config.kind === "postgres") {
      const { openPostgres } = await import("./postgres.ts");
      return await openPostgres(config, context);
    }
    const { openSqlite } = await import("./sqlite.ts");
    return openSqlite(isAbsolute(config.path) ? config.path : join(TOOLKIT_FOLDER, config.path), context);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const kind = (error as Error).name === "NewerSchemaError" ? "newer" : "unreachable";
    const place = config.kind === "postgres" ? "DATABASE_URL" : config.path;
    const message = `stored breaker state (${place}) cannot be used: ${why}; this run goes on with its own memory`;
    context.onProblem({ kind, message });
    return null;
  }
}
