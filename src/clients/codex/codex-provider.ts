import { join } from "node:path";
import { rootOf } from "../adapter/session-files.ts";
import type { ClientModel } from "../conversation/session-writer.ts";
import { readText } from "../adapter/read-object.ts";
import { codexSessions } from "./codex-sessions.ts";

const usual = "openai";

/** Codex's screen opens no session whose provider its settings do not have. */
export function codexModel(env: NodeJS.ProcessEnv): ClientModel {
  const settings = readText(join(rootOf(env, codexSessions), "config.toml")) ?? "";
  const own = tableIn(settings, null);
  const profile = valueIn(own, "profile");
  const chosen = profile === null ? "" : tableIn(settings, profile);
  const value = (key: string): string | null => valueIn(chosen, key) ?? valueIn(own, key);
  return { providerID: value("model_provider") ?? usual, modelID: value("model") };
}

/** Lines of a profile's table; null: those before the first table. */
function tableIn(settings: string, profile: string | null): string {
  const tables = settings.split(/^(?=[ \t]*\[)/m);
  if (profile === null) return tables[0]?.trimStart().startsWith("[") === true ? "" : (tables[0] ?? "");
  const headings = [`[profiles.${profile}]`, `[profiles."${profile}"]`];
  return tables.find((table) => headings.some((heading) => table.trimStart().startsWith(heading))) ?? "";
}

function valueIn(table: string, key: string): string | null {
  for (const line of table.split("\n")) {
    const [, name, value] = /^\s*(\w+)\s*=\s*["']([^"']*)["']/.exec(line) ?? [];
    if (name === key) return value ?? null;
  }
  return null;
}
