import { statSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { PhonePush, PhoneScope } from "../../../contract/phone-frames.ts";
import { readJsonFile } from "../../../platform/data-files.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

/** Phones of this machine, with the keys to their frames: a file that its user alone reads. */

const text = z.string();
const at = z.int();

/** A link that was printed, until a phone is paired or its time is over. */
const Offered = z.object({
  id: text,
  secret: text,
  scope: PhoneScope,
  /** Address of the user that leads to this machine's own relay; null: a coordinator relays. */
  own: text.nullable(),
  /** Time for which the phone is then paired, in ms. */
  forMs: z.int(),
  /** Epoch ms. */
  until: at,
});
export type Offered = z.infer<typeof Offered>;

const PairedPhone = z.object({
  id: text,
  name: text,
  /** Random value of its browser, which says so when it is paired again. */
  browser: text,
  /** 32 bytes, base64url. */
  key: text,
  scope: PhoneScope,
  /** Coordinator that passes its frames on, as `nameOf` names it; empty for the own relay. */
  workspace: text,
  /** The own relay: address of the user that leads to it, and hash of the phone's access secret. */
  own: z.object({ url: text, accessHash: text }).nullable(),
  pairedAt: at,
  /** Last call; null: it has made none. */
  seenAt: at.nullable(),
  endsAt: at,
  push: z.nullable(PhonePush),
  /** The last notification; `problem`: why it was not taken. */
  pushed: z.object({ at, problem: text.nullable() }).nullable(),
});
export type PairedPhone = z.infer<typeof PairedPhone>;

const PhoneFile = z.object({
  /** Loopback port of the own relay; null: none was ever served. */
  port: z.int().nullable(),
  offered: z.array(Offered),
  phones: z.array(PairedPhone),
});
export type PhoneFile = z.infer<typeof PhoneFile>;

const empty: PhoneFile = { port: null, offered: [], phones: [] };

function phoneFilePath(home: string): string {
  return join(home, "phones.json");
}

/** Changes with each write; null: no phone was ever paired. */
export function phoneFileMark(home: string): string | null {
  const stats = statSync(phoneFilePath(home), { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? null : `${stats.ino} ${stats.mtimeNs}`;
}

/** A file that is damaged pairs no phone. */
export function readPhones(home: string): PhoneFile {
  return readJsonFile(phoneFilePath(home), PhoneFile) ?? empty;
}

/** Only the host of the machine writes. @param now epoch ms; what is over by then is dropped */
export function changePhones(home: string, now: number, change: (file: PhoneFile) => PhoneFile): PhoneFile {
  const { port, offered, phones } = change(readPhones(home));
  const changed = {
    port,
    offered: offered.filter(({ until }) => until > now),
    phones: phones.filter(({ endsAt }) => endsAt > now),
  };
  createPrivateFolder(home);
  writeAtomically(phoneFilePath(home), `${JSON.stringify(changed, null, 2)}\n`);
  return changed;
}

/** Changes one phone, where it is still paired. */
export function changePhone(home: string, now: number, id: string, change: Partial<PairedPhone>): void {
  changePhones(home, now, (file) => ({
    ...file,
    phones: file.phones.map((phone) => (phone.id === id ? { ...phone, ...change } : phone)),
  }));
}
