import { uuidv7 } from "../../shared/ids.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { readTokenMachine } from "../../coordinator-client/edge/address.ts";
import * as meta from "../../store/meta.ts";
import { syncDevice } from "../../store/sync-tables.ts";
import * as changes from "./pending-changes.ts";
import { removeNames } from "./find-project.ts";
import * as elsewhere from "./sessions-elsewhere.ts";
import * as sentRecords from "./sent-records.ts";
import type { SharedSession } from "./sent-records.ts";

export type Device = RowOf<typeof syncDevice>;

export function newId(now: number, random: (bytes: number) => Uint8Array): string {
  return `dev_${uuidv7(now, random(16))}`;
}

export function get(sql: Sql): Device | null {
  return syncDevice.select(sql, "LIMIT 1")[0] ?? null;
}

type Member = Pick<EdgeConfig, "workspace" | "token" | "url">;

/**
 * Starts recording changes and forgets other workspaces. A machine that comes back to a workspace
 * is the same device again, so that it can still delete what it had stored there.
 *
 * @param fresh id of the device if the machine was not there before
 * @param since see {@link Device.joinedAt}
 */
export function join(sql: Sql, member: Member, fresh: string, since: number, now: number): void {
  const before = findMembership(sql, member);
  const isSame = before.machine === machineOf(member);
  const shared = isSame && before.url === member.url ? (before.shared ?? []) : [];
  joinAs(sql, member, isSame ? (before.device ?? fresh) : fresh, since);
  saveMembership(sql, member, { shared: sentRecords.stillHere(sql, shared) });
  // Rows that a repair has lost were not forgotten: the coordinator's may be the only copies.
  if (before.epoch === meta.epochOf(sql)) sentRecords.enqueueForgotten(sql, shared, now);
}

export function joinAs(sql: Sql, member: Member, device: string, since: number): void {
  const { workspace, url } = member;
  leave(sql);
  const nothingSent = { keyId: "", since: 0, revision: 0 };
  syncDevice.insert(sql, { workspace, device, ...nothingSent, storeEpoch: meta.epochOf(sql), joinedAt: since });
  saveMembership(sql, member, { machine: machineOf(member), device, url, shared: [] });
  changes.enqueueAll(sql, since);
}

/** Stored in meta, outlives the device's row. Add fields as optional. */
interface Membership {
  /** Its name in the token, and so at the coordinator: a home may be copied to another machine. */
  readonly machine: string;
  readonly device: string;
  readonly url?: string;
  /** Records at the coordinator when it left, and {@link meta.epochOf} then. */
  readonly shared?: readonly SharedSession[];
  readonly epoch?: number;
}

function findMembership(sql: Sql, member: Pick<Member, "workspace">): Partial<Membership> {
  return JSON.parse(meta.read(sql, deviceKey(member)) ?? "{}") as Partial<Membership>;
}

function saveMembership(sql: Sql, member: Pick<Member, "workspace">, change: Partial<Membership>): void {
  meta.write(sql, deviceKey(member), JSON.stringify({ ...findMembership(sql, member), ...change }));
}

function machineOf({ token }: Member): string {
  return readTokenMachine(token) ?? "";
}

function deviceKey({ workspace }: Pick<Member, "workspace">): string {
  return `sync_device:${workspace}`;
}

export function sendAll(sql: Sql): void {
  sql.run("UPDATE sync_device SET joinedAt = 0");
  changes.enqueueAll(sql, 0);
}

/** @param keepsCopies false: nothing of this machine is left at the coordinator */
export function leave(sql: Sql, keepsCopies = true): void {
  const device = get(sql);
  if (device) {
    const { shared = [] } = findMembership(sql, device);
    const left = keepsCopies ? sentRecords.listShared(sql, shared) : [];
    saveMembership(sql, device, { shared: left, epoch: meta.epochOf(sql) });
  }
  for (const table of ["sync_device", "sync_changes", "sync_sent"]) sql.run(`DELETE FROM ${table}`);
  elsewhere.removeAll(sql);
}

/** Whether all has to be sent: under another key, or after a repair of the store. */
export function mustSendAgain(sql: Sql, { keyId, storeEpoch }: Device, currentKey: string): boolean {
  return keyId !== currentKey || storeEpoch !== meta.epochOf(sql);
}

/** Sends all that is kept: the coordinator may lack it, or has it under another key. */
export function sendAgain(sql: Sql, { workspace, keyId, joinedAt }: Device, currentKey: string): void {
  if (keyId !== "") {
    changes.enqueueAll(sql, joinedAt);
    sentRecords.forgetFiles(sql);
  }
  if (keyId !== currentKey) removeNames(sql, workspace);
  sql.run("UPDATE sync_device SET keyId = ?, storeEpoch = ?", currentKey, meta.epochOf(sql));
}
