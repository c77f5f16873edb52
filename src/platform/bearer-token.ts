import { createHash, timingSafeEqual } from "node:crypto";

/** Compares in constant time. @param header the request's `authorization` */
export function hasBearerToken(header: string | undefined, token: string): boolean {
  const given = /^Bearer (\S+)$/i.exec(header ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
