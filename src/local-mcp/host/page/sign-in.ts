import { createHash, timingSafeEqual } from "node:crypto";
import { isWithin } from "../../../shared/elapsed.ts";

const tokenLifeMs = 60_000;
const maxSignedIn = 50;
const secretBytes = 32;

interface SignInDeps {
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
}

/** One exchanged link. The signal is aborted when its secret is no longer valid. */
export interface SignedIn {
  readonly hash: Buffer;
  readonly ended: AbortController;
}

/** [WP5] One-time tokens of links, and the secrets that they were exchanged for. In memory only. */
export class SignIn {
  readonly #deps: SignInDeps;
  #token: { readonly hash: Buffer; readonly at: number } | null = null;
  #signedIn: readonly SignedIn[] = [];

  constructor(deps: SignInDeps) {
    this.#deps = deps;
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

  /** @returns a new secret; null: the token is unknown, used or too old */
  exchange(given: string): string | null {
    const token = this.#token;
    if (!token || !timingSafeEqual(token.hash, hashOf(given))) return null;
    this.#token = null;
    if (!this.#isFresh(token.at)) return null;
    const secret = this.#secret();
    this.#signedIn = [...this.#signedIn, { hash: hashOf(secret), ended: new AbortController() }];
    if (this.#signedIn.length > maxSignedIn) this.signOut(this.#signedIn[0]);
    return secret;
  }

  /** @param authorization header of a request */
  find(authorization = ""): SignedIn | undefined {
    const [, secret] = /^Bearer ([\w-]+)$/.exec(authorization) ?? [];
    const hash = hashOf(secret ?? "");
    return this.#signedIn.find((one) => timingSafeEqual(one.hash, hash));
  }

  signOut(signedIn: SignedIn | undefined): void {
    this.#signedIn = this.#signedIn.filter((one) => one !== signedIn);
    signedIn?.ended.abort();
  }

  #secret(): string {
    return Buffer.from(this.#deps.random(secretBytes)).toString("base64url");
  }
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
