import { apiDocs } from "./api.ts";
import { cliDocs } from "./cli.ts";
import { clientsDocs } from "./clients.ts";
import { configDocs } from "./configuration.ts";
import { lifePage } from "./life.ts";
import { metricsDocs } from "./metrics.ts";

/** The pages of docs/reference that are made from the source, by file. */
export async function referencePages(): Promise<Record<string, string>> {
  return {
    "api.md": apiDocs(),
    "cli.md": await cliDocs(),
    "clients.md": clientsDocs(),
    "configuration.md": configDocs(),
    "life.md": lifePage(),
    "metrics.md": metricsDocs(),
  };
}
