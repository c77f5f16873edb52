import type { Granted, PushKeys, PushKind } from "../../contract/phone-frames.ts";
import type { PairingLink, PhoneKeys } from "../../pairing/pairing.ts";

/** Kept by the browser of a phone, in IndexedDB: keys whose bytes no script can read. */

/** A pairing that has begun; a reload continues it. */
export interface BegunPairing {
  readonly link: PairingLink;
  readonly keys: PhoneKeys;
  /** Secret of this phone towards the coordinator. */
  readonly claimant: string;
  readonly name: string;
  /** By which a machine knows this browser again. */
  readonly browser: string;
}

/** A machine that this phone is paired with. */
export interface StoredPhone extends Omit<Granted, "key"> {
  readonly id: string;
  /** Not extractable. */
  readonly key: CryptoKey;
  /** When the machine was last heard, epoch ms by the clock of this browser. */
  readonly heardAt: number;
}

interface Kept {
  readonly pairing: BegunPairing;
  /** In the order of their pairing. */
  readonly phones: readonly StoredPhone[];
  /** Names of machines whose pairing is over. */
  readonly ended: readonly string[];
  readonly browser: string;
  /** Kinds of notifications that were chosen, and the keys by which all machines send them. */
  readonly push: { readonly keys: PushKeys; readonly kinds: readonly PushKind[] };
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

/** In one transaction: two tabs may change the same. @param how gets null for what is not kept */
export async function change<Name extends keyof Kept>(
  name: Name,
  how: (before: Kept[Name] | null) => Kept[Name],
): Promise<Kept[Name]> {
  let changed: Kept[Name] | undefined;
  await inTable("readwrite", (kept) => {
    const reading = kept.get(name);
    reading.addEventListener("success", () => {
      changed = how((reading.result as Kept[Name] | undefined) ?? null);
      kept.put(changed, name);
    });
    return reading;
  });
  return changed as Kept[Name];
}

async function inTable(mode: IDBTransactionMode, act: (kept: IDBObjectStore) => IDBRequest): Promise<unknown> {
  // oxlint-disable-next-line no-restricted-globals -- it alone keeps a key whose bytes no script can read
  const opening = indexedDB.open("shim", 1);
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(table));
  const database = (await done(opening, opening)) as IDBDatabase;
  try {
    const transaction = database.transaction(table, mode);
    const request = act(transaction.objectStore(table));
    return await done(request, transaction);
  } finally {
    database.close();
  }
}

/** @param whole must be complete before the request counts: a later write may fail */
function done(request: IDBRequest, whole: IDBRequest | IDBTransaction): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  whole.addEventListener(whole instanceof IDBTransaction ? "complete" : "success", () => resolve(request.result));
  for (const failed of ["error", "abort"])
    whole.addEventListener(failed, () => reject(request.error ?? new Error("the browser keeps nothing")));
  return promise;
}
