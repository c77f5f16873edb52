import { existsSync, statSync } from "node:fs";
import { ReplayHeader, ReplaySession } from "../../contract/replay.ts";
import { Settings } from "../../contract/workspaces.ts";
import { parameters, parseVariants, usualVariants } from "../../experiments/parameters.ts";
import { replayReport } from "../../experiments/replay/loss.ts";
import { readFileLines, writeLines } from "../../platform/line-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, ok } from "../../shared/result.ts";
import { settingAt } from "../../shared/setting-keys.ts";
import { compareQueue } from "../experiments/compare-queue.ts";
import { corpus } from "../experiments/corpus.ts";
import { readQueueRecord } from "../experiments/workspace-history.ts";
import { decidingOf } from "./experiment-handlers.ts";
import type { Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { parseJson } from "../../shared/json-fields.ts";

const windowMs = 30 * 86_400_000;
const maxSessions = 1_000;
const maxCorpusBytes = 500_000_000;

export const replayHandlers: Handlers<"replay.run" | "replay.workspace" | "replay.export"> = {
  async "replay.run"(context, { since, corpus: file, set }) {
    const runtime = await context.runtime();
    const valueOf = (key: string): number => Number(settingAt(runtime.config, key));
    const known = parameters.filter(({ scope }) => scope === "machine");
    const variants =
      set === undefined
        ? usualVariants(
            known.filter(({ group }) => group === "interval"),
            valueOf,
            2,
          )
        : parseVariants(known, valueOf, set, () => true);
    if (typeof variants === "string") return err({ code: "bad_input", message: variants });
    const sessions = file === undefined ? ok(readStored(runtime, since).filter(isSession)) : readCorpus(file);
    return sessions.ok ? ok(replayReport(sessions.value, runtime.config, variants)) : sessions;
  },
  /** [EX97] */
  async "replay.workspace"(context, { set }) {
    const deciding = await decidingOf(context);
    return deciding.inWorkspace(async (link) => {
      const found = await link.call("settings.get", {});
      if (!found.ok) return found;
      const { settings } = found.value;
      const valueOf = (key: string): number => Number(settings[key as keyof Settings]);
      const known = parameters.filter(({ scope }) => scope === "workspace");
      const variants = set ? parseVariants(known, valueOf, set, isSetting) : usualVariants(known, valueOf, 1);
      if (typeof variants === "string") return err({ code: "bad_input", message: variants });
      const record = await readQueueRecord(link, settings.chatTtlMs);
      if (!record.ok) return record;
      const compare = compareQueue(deciding.runtime);
      return ok({
        tasks: record.value.tasks.length,
        chats: record.value.chats.length,
        windowMs: record.value.windowMs,
        variants: variants.map(({ key, from, value }) => {
          const comparison = compare(record.value, settings, { ...settings, [key]: value });
          return { key, from, value, comparison };
        }),
      });
    });
  },
  async "replay.export"({ runtime }, { file, since }) {
    if (existsSync(file)) return err({ code: "file_exists", message: `${file} already exists. Name a new file.` });
    const rows = readStored(await runtime(), since);
    const sessions = rows.length - 1;
    if (sessions < 1)
      return err({ code: "not_found", message: "no session is stored, so there is nothing to export." });
    writeLines(
      file,
      rows.map((row) => JSON.stringify(row)),
    );
    return ok({ file, sessions });
  },
};

function isSetting(key: string, value: number): boolean {
  return Settings.partial().safeParse({ [key]: value }).success;
}

type Row = ReplayHeader | ReplaySession;

function isSession(row: Row): row is ReplaySession {
  return row.type === "session";
}

/** @param since default: 30 days ago */
function readStored({ store, now }: Runtime, since = now() - windowMs): Row[] {
  return store.read((sql) => [...corpus(sql, { since, limit: maxSessions })], []);
}

function readCorpus(path: string): HostResult<ReplaySession[]> {
  const file = statSync(path, { throwIfNoEntry: false });
  if (!file) return err({ code: "not_found", message: `there is no file ${path}.` });
  if (file.size > maxCorpusBytes) return err({ code: "too_large", message: `${path} is larger than 500 MB.` });
  const sessions: ReplaySession[] = [];
  const lines = [...readFileLines(path)].filter((line) => line.trim() !== "");
  for (const [index, line] of lines.entries()) {
    const parsed = (index === 0 ? ReplayHeader : ReplaySession).safeParse(parseJson(line));
    if (!parsed.success)
      return err({
        code: "invalid_corpus",
        message: `${path}, line ${index + 1}: not what \`shim learn replay export <file>\` writes.`,
      });
    if (isSession(parsed.data)) sessions.push(parsed.data);
  }
  return ok(sessions);
}
