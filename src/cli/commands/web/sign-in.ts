import { createHash, timingSafeEqual } from "node:crypto";
import { isWithin } from "../../../shared/elapsed.ts";

const tokenLifeMs = 60_000;
const maxSignedIn = 50;
const secretBytes = 32;

interface SignInDeps {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

/** [WP5] One-time tokens of links, and the cookies that they were exchanged for. In memory only. */
export class SignIn {
  readonly #deps: SignInDeps;
  readonly #cookieName: string;
  #token: { readonly hash: Buffer; readonly at: number } | null = null;
  #signedIn: Buffer[] = [];

  /** @param port cookies of 127.0.0.1 are sent to every port, so their name has it */
  constructor(deps: SignInDeps, port: number) {
    this.#deps = deps;
    this.#cookieName = `shim-${port}`;
  }

  /** A new token; the one before is no longer valid. */
  newToken(): string {
    const token = this.#secret();
    this.#token = { hash: hashOf(token), at: this.#deps.now() };
    return token;
  }

  /** A link was printed that is still good: another one would make it useless. */
  get hasToken(): boolean {
    return this.#token !== null && this.#isFresh(this.#token.at);
  }

  #isFresh(at: number): boolean {
    return isWithin(this.#deps.now() - at, tokenLifeMs);
  }

  /** @returns the header of the cookie; null: the token is unknown, used or too old */
  exchange(given: string): string | null {
    const token = this.#token;
    if (!token || !timingSafeEqual(token.hash, hashOf(given))) return null;
    this.#token = null;
    if (!this.#isFresh(token.at)) return null;
    const secret = this.#secret();
    this.#signedIn = [...this.#signedIn, hashOf(secret)].slice(-maxSignedIn);
    return `${this.#cookieName}=${secret}; HttpOnly; SameSite=Strict; Path=/`;
  }

  isSignedIn(cookies: string | undefined): boolean {
    const hash = this.#hashOfCookie(cookies);
    return hash !== null && this.#signedIn.some((one) => timingSafeEqual(one, hash));
  }

  signOut(cookies: string | undefined): string {
    const hash = this.#hashOfCookie(cookies);
    if (hash !== null) this.#signedIn = this.#signedIn.filter((one) => !timingSafeEqual(one, hash));
    return `${this.#cookieName}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0`;
  }

  #hashOfCookie(cookies = ""): Buffer | null {
    const prefix = `${this.#cookieName}=`;
    const found = cookies.split(/; */).find((one) => one.startsWith(prefix));
    return found === undefined ? null : hashOf(found.slice(prefix.length));
  }

  #secret(): string {
    return Buffer.from(this.#deps.random(secretBytes)).toString("base64url");
  }
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
