import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { titleOf } from "../../clients/adapters.ts";
import { clientDetails } from "../../clients/details.ts";
import { age } from "../../contract/age.ts";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { JsonObject } from "../../shared/json-fields.ts";
import { err, ok } from "../../shared/result.ts";
import { importTranscript } from "../transcripts/import-transcript.ts";
import { findKept, isSearchable, searchedFolders, type KeptSession } from "../stores/kept-sessions.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Handlers, OperationResult } from "./operation-context.ts";

export const importSessionHandlers: Pick<Handlers, "transcripts.import-session"> = {
  "transcripts.import-session": async (context, { session: id, folder }) => {
    const { env, versionOf } = context.site;
    const kept = findKept(env, id);
    const runtime = await context.runtime();
    const [first, second] = kept;
    if (first) return second ? ambiguousFiles(runtime, id, kept) : importFrom(runtime, first.path, folder);
    const program = clientDetails.find((client) => client.program?.isId(id))?.program;
    const canExport = program !== undefined && versionOf(program.command) !== null;
    const document = canExport ? await program.exportSession({ env, cwd: folder }, id) : null;
    if (document) return importDocument(runtime, document, folder);
    return err({ code: "not_found", message: notFoundText(env, id) });
  },
};

type Imported = MachineOutput<"transcripts.import-session">;

async function importFrom(runtime: Runtime, path: string, folder: string): Promise<OperationResult<Imported>> {
  const imported = await importTranscript(runtime, { path, folder });
  if (imported.ok) return ok({ session: imported.value.session, file: path });
  return err({ code: "transcript_unusable", message: `${path}: ${imported.error}. Nothing was stored.` });
}

/** An importer reads files: this one is gone afterwards. */
async function importDocument(
  runtime: Runtime,
  document: JsonObject,
  folder: string,
): Promise<OperationResult<Imported>> {
  const temporary = mkdtempSync(join(tmpdir(), "shim-import-"));
  try {
    const path = join(temporary, "export.json");
    writeFileSync(path, JSON.stringify(document), { mode: 0o600 });
    const imported = await importFrom(runtime, path, folder);
    if (!imported.ok) return imported;
    const { session } = imported.value;
    runtime.store.write((sql) => sessions.setUnread(sql, session));
    return ok({ session, file: null });
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const maxListed = 8;

function ambiguousFiles({ now }: Runtime, id: string, kept: readonly KeptSession[]): OperationResult<never> {
  const listed = kept.slice(0, maxListed);
  const lines = listed.map(
    ({ client, path, changedAt }) => `\n  ${path}  ${titleOf(client)}, written ${age(now() - changedAt)} ago`,
  );
  const more = kept.length > listed.length ? [`\n  and ${kept.length - listed.length} more`] : [];
  const message = `SHIM has not recorded "${id}", and clients keep several files of that name; give one of them:${[...lines, ...more].join("")}`;
  return err({ code: "ambiguous", message, candidates: listed.map(({ path }) => path) });
}

function notFoundText(env: NodeJS.ProcessEnv, id: string): string {
  if (!isSearchable(id))
    return "Clients' own files are searched for 8 characters of an id and more: letters, digits, - and _.";
  const [there, absent] = [true, false].map((isThere) =>
    searchedFolders(env).filter((path) => existsSync(path) === isThere),
  );
  const searched = there?.length
    ? `No client's file of it is in ${there.join(", ")}`
    : "No client's file of it was found";
  return `${searched}${absent?.length ? `; ${absent.join(", ")} ${absent.length === 1 ? "is" : "are"} not there` : ""}.`;
}
