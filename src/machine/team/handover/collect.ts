import { err, ok, type Result } from "../../../shared/result.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Held } from "../../../contract/machine/handover.ts";
import type { ClaimedTask } from "../../../contract/tasks.ts";
import { redact } from "../../../redaction/redact.ts";
import { oneLine } from "../../../shared/format.ts";
import type { Sql } from "../../../shared/sql.ts";
import { teamHoldings } from "../../../store/team-tables.ts";
import { takePending } from "../../../snapshots/stored-snapshots.ts";
import { capture, type CaptureError } from "../../sessions/checkpoints/capture.ts";
import { readSource, redactConversation } from "../../recovery/native/native-session.ts";
import { findSnapshot, leftOutIn } from "../../sessions/session-content.ts";
import * as reservationTable from "../../sessions/reservation-table.ts";
import type { Session } from "../../sessions/sessions.ts";
import { buildSessionContent } from "../../sharing/record-contents.ts";
import { bundleFiles } from "../../sharing/sealed-records.ts";
import type { CarriedConversation, HandedOver } from "./package.ts";

export interface CollectOptions {
  /** Label of this machine. */
  readonly machine: string;
  /** Epoch ms. */
  readonly until: number;
  readonly withConversation: boolean;
}

export interface Collected {
  readonly given: HandedOver;
  /** Why no files are in it; null: they are. */
  readonly withoutFiles: string | null;
}

const maxExcerptChars = 200;
const snapshotTimeoutMs = 120_000;

/** Saves the session as it stands, and collects what another machine needs to continue it. */
export async function collectHandover(
  runtime: Runtime,
  session: Session,
  { machine, until, withConversation }: CollectOptions,
): Promise<Result<Collected, string>> {
  const { store, now } = runtime;
  const saved = capture(runtime, { sessionId: session.id, trigger: "give" });
  if (!saved.ok) return err(captureProblem(saved.error));
  const conversation = withConversation ? await readConversation(runtime, session) : ok(null);
  if (!conversation.ok) return conversation;
  await takePending(runtime, [session.id], AbortSignal.timeout(snapshotTimeoutMs));
  const { id: checkpoint } = saved.value.checkpoint;
  const files = await collectFiles(runtime, checkpoint);
  const content = store.read((sql) => buildSessionContent(sql, session, now()), null);
  if (content?.checkpoint?.id !== checkpoint) return err("its checkpoint was deleted meanwhile");
  const held = store.read((sql) => heldBy(sql, session.id), null);
  const { head = null, bundle = null, ...facts } = files.ok ? files.value : {};
  const given = {
    machine,
    givenAt: now(),
    until,
    id: session.id,
    session: content,
    files: "commit" in facts ? facts : null,
    head,
    bundle,
    conversation: conversation.value,
    ...(held === null ? {} : { held }),
  };
  return ok({ given, withoutFiles: files.ok ? null : files.error });
}

function captureProblem(error: CaptureError): string {
  if (error.code === "nothing_to_save") return "nothing has happened in it yet";
  if (error.code === "unknown_session") return "it was deleted meanwhile";
  return `its state has ${error.bytes} bytes, more than the ${error.maxBytes} of a checkpoint`;
}

type CollectedFiles = NonNullable<HandedOver["files"]> & { readonly head: string | null; readonly bundle: Buffer };

/** @returns why there are none */
async function collectFiles(runtime: Runtime, checkpoint: string): Promise<Result<CollectedFiles, string>> {
  const row = runtime.store.read((sql) => findSnapshot(sql, checkpoint), null);
  if (row === null) return err("its project is in no git repository, or snapshots are switched off");
  const { state, repository, commit, head, project, at } = row;
  if (state !== "done" || repository === null || commit === null)
    return err(row.reason ?? "they could not be saved in time");
  const made = await bundleFiles(runtime, { repository, commit, head, project });
  if (!made.ok) return made;
  const { needs, bytes: bundle } = made.value;
  return ok({ checkpoint, at, commit, needs: [...needs], leftOut: [...leftOutIn(row.detail)], head, bundle });
}

async function readConversation(runtime: Runtime, session: Session): Promise<Result<CarriedConversation, string>> {
  const deps = { env: runtime.env, driver: runtime.store.context.driver, cwd: session.cwd ?? "/" };
  const read = await readSource(deps, session);
  if (!read.ok) return read;
  if (read.value.items.length === 0) return err("nothing was said in it");
  const { items, lost, damages, model } = redactConversation(read.value).conversation;
  return ok({ session: session.id, model, items: [...items], lost: [...lost], damages });
}

/** @returns null: it holds nothing */
function heldBy(sql: Sql, session: string): Held | null {
  const files = reservationTable.list(sql).filter(({ holder }) => holder === session);
  const rows = teamHoldings.select(sql, "WHERE session = ? ORDER BY at, token", session);
  const leads = rows.filter(({ kind, token }) => kind === "leadership" && token > 0);
  const claims = rows.filter(({ kind }) => kind === "claim").map(({ body }) => body as ClaimedTask);
  if (files.length + leads.length + claims.length === 0) return null;
  return {
    files: files.map(({ resource }) => resource),
    leads: leads.map(({ resource }) => resource),
    tasks: claims.map(({ task, type, payload }) => ({ task, type, excerpt: excerptOf(payload) })),
  };
}

function excerptOf(payload: ClaimedTask["payload"]): string {
  const text = typeof payload === "string" ? payload : payload === null ? "" : JSON.stringify(payload);
  return oneLine(redact(text).text, maxExcerptChars);
}
