import type { Granted, PushKind } from "../../contract/phone-frames.ts";
import type { PairingLink, PhoneKeys } from "../../pairing/pairing.ts";

/** Kept by the browser of a phone, in IndexedDB: keys whose bytes no script can read. */

/** A pairing that has begun; a reload continues it. */
export interface BegunPairing {
  readonly link: PairingLink;
  readonly keys: PhoneKeys;
  /** Secret of this phone towards the coordinator. */
  readonly claimant: string;
  readonly name: string;
}

export interface StoredPhone extends Omit<Granted, "key"> {
  readonly id: string;
  /** Not extractable. */
  readonly key: CryptoKey;
}

interface Kept {
  readonly pairing: BegunPairing;
  readonly phone: StoredPhone;
  /** Name of the machine whose pairing is over. */
  readonly ended: string;
  /** Kinds of notifications that were chosen. */
  readonly kinds: readonly PushKind[];
}

const table = "kept";

export async function read<Name extends keyof Kept>(name: Name): Promise<Kept[Name] | null> {
  const found = (await inTable("readonly", (kept) => kept.get(name))) as Kept[Name] | undefined;
  return found ?? null;
}

export async function keep<Name extends keyof Kept>(name: Name, value: Kept[Name]): Promise<void> {
  await inTable("readwrite", (kept) => kept.put(value, name));
}

export async function forget(name: keyof Kept): Promise<void> {
  await inTable("readwrite", (kept) => kept.delete(name));
}

async function inTable(mode: IDBTransactionMode, act: (kept: IDBObjectStore) => IDBRequest): Promise<unknown> {
  // oxlint-disable-next-line no-restricted-globals -- it alone keeps a key whose bytes no script can read
  const opening = indexedDB.open("shim", 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(table));
  const database = (await done(opening)) as IDBDatabase;
  try {
    return await done(act(database.transaction(table, mode).objectStore(table)));
  } finally {
    database.close();
  }
}

function done(request: IDBRequest): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  request.addEventListener("success", () => resolve(request.result));
  request.addEventListener("error", () => reject(request.error ?? new Error("the browser keeps nothing")));
  return promise;
}
