import { Introduction, type Granted } from "../contract/phone-frames.ts";
import { derive, fromBase64url, open, randomText, seal, sealingKey, sha256, toBase64url } from "./sealing.ts";

/**
 * How a phone and a machine come to a common key. The link has a one-time secret of 128 bits in
 * its fragment, which no browser sends. Under it the phone seals its public key and its name; the
 * machine's user compares a number and agrees; the machine seals the grant to that public key.
 */

const secretBytes = 16;
const curve = { name: "ECDH", namedCurve: "P-256" };
const { subtle } = crypto;

/** Content of a link. */
export interface PairingLink {
  readonly id: string;
  /** 16 bytes, base64url; never sent to the coordinator. */
  readonly secret: string;
}

export function newPairingSecret(): string {
  return randomText(secretBytes);
}

export function pairingFragment({ id, secret }: PairingLink): string {
  return `#pair=${id}.${secret}`;
}

/** @returns null for a fragment that is none of a pairing */
export function readPairingFragment(fragment: string): PairingLink | null {
  const [, id, secret] = /^#pair=([\w-]{44})\.([\w-]{22})$/.exec(fragment) ?? [];
  return id === undefined || secret === undefined ? null : { id, secret };
}

/** Shown to the coordinator; reveals nothing of the secret. */
export async function claimOf(secret: string): Promise<string> {
  return toBase64url(await derive(fromBase64url(secret), "", "pairing claim"));
}

/** Six digits that both ends show: another phone that has the link has another number. */
export async function checkNumber({ id, secret }: PairingLink, publicKey: string): Promise<string> {
  const [a = 0, b = 0, c = 0] = await sha256(`pairing check ${id} ${secret} ${publicKey}`);
  const digits = String(((a << 16) | (b << 8) | c) % 1_000_000).padStart(6, "0");
  return `${digits.slice(0, 3)} ${digits.slice(3)}`;
}

function introductionKey(secret: string): Promise<CryptoKey> {
  return sealingKey(fromBase64url(secret), "", "pairing introduction");
}

/** The key pair of a phone; its private half never leaves the browser. */
export interface PhoneKeys {
  readonly privateKey: CryptoKey;
  /** Base64url. */
  readonly publicKey: string;
}

export async function newPhoneKeys(): Promise<PhoneKeys> {
  const { privateKey, publicKey } = await subtle.generateKey(curve, false, ["deriveBits"]);
  return { privateKey, publicKey: toBase64url(new Uint8Array(await subtle.exportKey("raw", publicKey))) };
}

export async function sealIntroduction({ id, secret }: PairingLink, introduction: Introduction): Promise<string> {
  return seal(await introductionKey(secret), `introduction ${id}`, introduction);
}

/** @returns null for one that was not sealed under the secret of the link */
export async function openIntroduction({ id, secret }: PairingLink, sealed: string): Promise<Introduction | null> {
  const read = Introduction.safeParse(await open(await introductionKey(secret), `introduction ${id}`, sealed));
  return read.success ? read.data : null;
}

/** Both ends of the exchange have this key, and the secret of the link is needed for it, too. */
async function grantKey(link: PairingLink, privateKey: CryptoKey, publicKey: string): Promise<CryptoKey> {
  const other = await subtle.importKey("raw", fromBase64url(publicKey), curve, false, []);
  const shared = await subtle.deriveBits({ name: "ECDH", public: other }, privateKey, 256);
  return sealingKey(shared, link.secret, `pairing grant ${link.id}`);
}

/** @param publicKey of the phone, as its introduction has it */
export async function sealGrant(link: PairingLink, publicKey: string, granted: Granted): Promise<string> {
  const own = await newPhoneKeys();
  const sealed = await seal(await grantKey(link, own.privateKey, publicKey), `grant ${link.id}`, granted);
  return `${own.publicKey}${sealed}`;
}

const publicKeyChars = 87;

/** @returns null for one that is not from the machine of the link */
export async function openGrant(link: PairingLink, { privateKey }: PhoneKeys, grant: string): Promise<Granted | null> {
  try {
    const key = await grantKey(link, privateKey, grant.slice(0, publicKeyChars));
    // Only the machine of the link can have sealed it, so its form is the machine's own.
    const granted = await open(key, `grant ${link.id}`, grant.slice(publicKeyChars));
    return (granted as Granted | undefined) ?? null;
  } catch {
    // No point of the curve.
    return null;
  }
}
