import { generateKeyPairSync } from "node:crypto";
import type { PushKeys } from "./phone-file.ts";

/** A key pair of P-256: the uncompressed point, and the private number (RFC 8292). */
export function newPushKeys(): PushKeys {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { x = "", y = "", d = "" } = privateKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")]);
  return { publicKey: point.toString("base64url"), privateKey: d };
}
