import { ok } from "../../../shared/result.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import { composeBrief } from "../brief/brief.ts";
import { findOpenOffer } from "../incomplete/detect.ts";
import { toListed } from "../local-source.ts";
import { assessLiveness, findElsewhere, isTaken, type DeadElsewhere } from "./remote-candidates.ts";
import type { ProjectHere, RemoteContext } from "./remote-context.ts";
import { offerNewest } from "./remote-offer.ts";
import { inspectElsewhere } from "./remote-restoration.ts";
import { fetchHolder } from "../incomplete/session-lease.ts";
import type { RecoverySource } from "../source.ts";
import { giveBack, takeOver } from "./takeover.ts";
import { verdict, type Refusal, type Successor } from "../incomplete/verdict.ts";

/**
 * The sessions of the workspace's other machines.
 * @param here the project of the chat or the command
 */
export function remoteSource(context: RemoteContext, here: ProjectHere | null): RecoverySource {
  const { store, now } = context.runtime;
  let dead: Promise<DeadElsewhere[]> | null = null;
  const findDead = (): Promise<DeadElsewhere[]> => (dead ??= findElsewhere(context));
  const note = (session: string, action: recoveries.RecoveryAction): void =>
    store.write((sql) => recoveries.add(sql, { at: now(), session: session, action }));
  return {
    list: async (limit) =>
      (await findDead()).slice(0, limit).map(({ row, liveness }) => {
        const offer = store.read((sql) => findOpenOffer(sql, context.runtime.processes, now(), row.id), null);
        const cause = liveness.isCertain ? "died" : "not heard of";
        const listed = toListed({ session: row, cause, offer }, now(), context.chatId);
        return Object.assign(listed, { machine: row.machine });
      }),
    offer: async () => here && offerNewest(context, await findDead(), here),
    inspect: async (id) => {
      const row = findById(context, id);
      if (!row) return ok(null);
      const root = here?.project === row.projectName ? here.root : null;
      const liveness = await assessLiveness(context, row);
      return ok(composeBrief(await inspectElsewhere(context, { row, liveness }, root), now()));
    },
    check: async ({ session: { id } }) => {
      const row = findById(context, id);
      return row && checkElsewhere(context, row);
    },
    claim: async ({ from }) => {
      const row = findById(context, from.session.id);
      const refusal = row && (await checkElsewhere(context, row));
      if (row === null || refusal || row.taken?.chat === context.chatId) return refusal;
      const taken = await takeOver(context, row);
      return taken.ok ? null : taken.error;
    },
    dismiss: (session) => note(session, "dismissed"),
    release: async (session) => {
      const row = findById(context, session);
      const action = store.read((sql) => recoveries.noteOf(sql, session)?.action, undefined);
      if (row === null || (row.taken === null && action === undefined)) return ok(false);
      if (row.taken !== null || action === "taken") return giveBack(context, row);
      note(session, "undone");
      return ok(true);
    },
  };
}

async function checkElsewhere(context: RemoteContext, row: SessionElsewhere): Promise<Refusal | null> {
  const { id: session, machine, taken } = row;
  const isEnded = elsewhere.isSettled(row);
  if (!isEnded && taken?.chat === context.chatId) return null;
  const liveness = await assessLiveness(context, row);
  const alive = liveness.isOver ? null : liveness.detail;
  const successor = await findSuccessor(context, row);
  return verdict({ session, machine, isEnded, isStale: context.isStale, alive, successor });
}

/** The holder of the session's lease, else the chat that its machine knows of. */
async function findSuccessor(context: RemoteContext, row: SessionElsewhere): Promise<Successor | null> {
  const holder = await fetchHolder(context.link, row.id);
  // The dead chat may still count as alive.
  if (holder !== null && ![row.id, context.chatId].includes(holder.chat)) return holder;
  return (await isTaken(context, row)) ? row.taken : null;
}

/** Accepts a unique beginning of at least 4 characters. */
export function findById(
  { runtime, workspace }: Pick<RemoteContext, "runtime" | "workspace">,
  idOrPrefix: string,
): SessionElsewhere | null {
  const others = runtime.store.read((sql) => elsewhere.listOfOthers(sql, workspace), []);
  const exact = others.find(({ id }) => id === idOrPrefix);
  if (exact || idOrPrefix.length < 4) return exact ?? null;
  const [first, second] = others.filter(({ id }) => id.startsWith(idOrPrefix));
  return (second === undefined && first) || null;
}
