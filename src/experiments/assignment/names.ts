/**
 * The only texts that an assignment knows. Their types keep the text of a chat away from adapters,
 * which may send what they get to a service.
 */
import { sha256 } from "./sha256.ts";

declare const kind: unique symbol;

/** Name of an experiment, an arm or a metric. */
export type Name = string & { readonly [kind]: "name" };

/** A hashed id of a session, a task or a chat. */
export type Unit = string & { readonly [kind]: "unit" };

/** @throws {RangeError} unless it is 1 to 64 letters, digits, dots, hyphens and underscores */
export function toName(text: string): Name {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) throw new RangeError("A name has 1 to 64 plain characters.");
  return text as Name;
}

/**
 * The unit of an id: 128 bits in hexadecimal.
 *
 * @param salt a secret of the workspace, without which no id can be recognised
 */
export function toUnit(salt: string, id: string): Unit {
  const words = sha256(`unit:${salt}:${id}`).subarray(0, 4);
  return Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("") as Unit;
}
