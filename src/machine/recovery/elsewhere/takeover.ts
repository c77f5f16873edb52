import * as journal from "../../sessions/journal.ts";
import * as recoveries from "../../sessions/recoveries.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { toPredecessor } from "../../checkpoints/succession.ts";
import { isTransient, type CallError } from "../../../contract/errors.ts";
import { emptyState } from "../../sessions/work-state.ts";
import * as elsewhere from "../../sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "../../sharing/sessions-elsewhere.ts";
import type { RemoteContext } from "./remote-context.ts";
import { acquireLease, releaseLease } from "../incomplete/session-lease.ts";
import { incompleteRefusal, leaseRefusal } from "../incomplete/verdict.ts";

/** A repetition completes an interrupted takeover. */
export async function takeOver(context: RemoteContext, row: SessionElsewhere): Promise<Result<null, CallError>> {
  const { link, call, runtime } = context;
  const { device, id: session, machine } = row;
  const lease = await acquireLease(link, session);
  if (!lease.ok) {
    const { code, message, holder } = lease.error;
    if (code === "lease_held") return err(leaseRefusal(session, machine, holder));
    const why = `${session} was not taken, since the coordinator of the workspace did not answer (${message}). Nothing has changed; call again.`;
    return err({ code, message: why });
  }
  const { self } = link;
  if (!self)
    return err({
      code: "not_registered",
      message: "this chat is not registered in the workspace yet; call again in a moment",
    });
  const takeResult = await call("sync.take", { self, device, session, token: lease.value });
  if (!takeResult.ok) {
    if (!isTransient(takeResult.error)) await releaseLease(link, session, lease.value);
    return err(incompleteRefusal(session, machine, takeResult.error));
  }
  const at = runtime.now();
  const successor = self.chat;
  runtime.store.write((sql) => {
    const state = elsewhere.findState(sql, row) ?? emptyState;
    const inheritedWork = toPredecessor({ session, state });
    elsewhere.setTakeover(sql, row, { chat: successor, machine: context.machine, at });
    if (!recoveries.isTaken(sql, session, successor))
      recoveries.add(sql, { at, session: session, action: "taken", by: successor });
    journal.append(sql, successor, at, `continues:${session}`, { kind: "continues", ...inheritedWork });
  });
  return ok(null);
}

export async function giveBack(
  { runtime, call }: RemoteContext,
  row: SessionElsewhere,
): Promise<Result<boolean, CallError>> {
  const { device, id: session } = row;
  const given = await call("sync.give-back", { device, session });
  if (!given.ok && given.error.code !== "unknown_key") return given;
  runtime.store.write((sql) => {
    elsewhere.setTakeover(sql, row, null);
    recoveries.add(sql, { at: runtime.now(), session: session, action: "undone" });
  });
  return ok(true);
}
