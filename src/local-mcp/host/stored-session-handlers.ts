import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import { readFileLines, writeLines } from "../../platform/line-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import { listBackups } from "../../store/backup.ts";
import { exportLines, importLines } from "../../store/transfer.ts";
import { sessionDocument } from "../portable/session-document.ts";
import { readState } from "../recovery/session-state.ts";
import { readContent } from "../sessions/session-content.ts";
import * as sessions from "../sessions/sessions.ts";
import { describeEntry } from "./describe-entry.ts";
import { forgetTarget } from "./forget-target.ts";
import type { Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { findSession, projectOfFolder } from "./resolve-id.ts";

export const storedSessionHandlers: Handlers<
  "sessions.stored" | "sessions.forget" | "sessions.export" | "sessions.import"
> = {
  async "sessions.stored"({ runtime: load }, { session: id }) {
    const runtime = await load();
    const found = findSession(runtime, id);
    return found.ok ? stored(runtime, found.value) : found;
  },
  "sessions.forget": async ({ runtime, by = "command line" }, input) => forgetTarget(await runtime(), input, by),
  async "sessions.export"({ runtime: load }, input) {
    const { file, session: id, format } = input;
    if (format !== "jsonl" && id === undefined)
      return err({ code: "bad_input", message: `the format ${format} needs a session.` });
    if (file !== undefined && existsSync(file))
      return err({ code: "file_exists", message: `${file} already exists. Name a new file.` });
    const runtime = await load();
    if (id === undefined) return exportTo(runtime, input, null);
    const found = findSession(runtime, id);
    return found.ok ? exportTo(runtime, input, found.value.id) : found;
  },
  async "sessions.import"({ runtime }, { file }) {
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found) return err({ code: "not_found", message: `there is no file ${file}.` });
    if (found.isDirectory()) {
      const message = `${file} is a folder. Name a file that \`shim sessions export\` wrote.`;
      return err({ code: "not_a_file", message });
    }
    const { store } = await runtime();
    const { added, skipped, refused } = await importLines(store, () => readFileLines(file));
    const reasons = refused.map(({ line, reason }) => `\n  line ${line}: ${reason}`).join("");
    if (refused.length > 0) return err({ code: "import_refused", message: `nothing was imported:${reasons}` });
    return ok({ file, added, skipped });
  },
};

function stored(runtime: Runtime, session: sessions.Session): HostResult<MachineOutput<"sessions.stored">> {
  const read = runtime.store.read(
    (sql) => ({ content: readContent(sql, session.id), state: readState(sql, runtime, session) }),
    null,
  );
  if (!read) return err({ code: "not_found", message: `session ${session.id} was deleted meanwhile.` });
  const { journal, ...others } = read.content;
  const described = journal.map(({ at, seq, entry }) => {
    return { at, seq, entry, text: describeEntry(entry, Number.MAX_SAFE_INTEGER) };
  });
  return ok({
    session: { ...session, ...read.state },
    journal: described,
    ...(others as unknown as Omit<MachineOutput<"sessions.stored">, "session" | "journal" | "copies">),
    copies: { backups: listBackups(runtime.paths.backups).length },
  });
}

/** [PO3] */
function exportTo(
  runtime: Runtime,
  { file: given, project: folder, since, format }: CheckedMachineInput<"sessions.export">,
  session: string | null,
): HostResult<MachineOutput<"sessions.export">> {
  const file = given ?? join(tmpdir(), `shim-export-${Buffer.from(runtime.random(8)).toString("hex")}`);
  const document = session === null || format === "jsonl" ? null : sessionDocument(runtime, session, format);
  const project = folder === undefined ? undefined : projectOfFolder(runtime, folder);
  const filter = omitUndefined({ session: session ?? undefined, project, since });
  // One transaction, so the lines agree.
  const lines =
    document === null
      ? runtime.store.read<number | null>((sql) => writeLines(file, exportLines(sql, runtime.now(), filter)), null)
      : writeLines(file, [document.trimEnd()]);
  return lines === null
    ? err({ code: "not_found", message: "nothing is stored yet, so there is nothing to export." })
    : ok({ file, isTemporary: given === undefined, lines, session });
}
