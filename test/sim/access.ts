import type { Bearer } from "#src/coordination/workspace/tokens.ts";
import type { BoxKind } from "#src/contract/sealed-boxes.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import type { Tx } from "#src/coordination/kernel/tx.ts";
import * as boxes from "#src/coordination/workspace/boxes.ts";
import * as tokens from "#src/coordination/workspace/tokens.ts";
import type { SimHost } from "./host/sim-host.ts";
import type { Sim } from "./sim.ts";

interface Token extends Bearer {
  /** By which its holder is known: of the present signature, and of the one before it. */
  hashes: readonly string[];
  isRevoked: boolean;
}

interface Box {
  readonly id: string;
  readonly kind: BoxKind;
  readonly token: Token;
  readonly subject: string | null;
  until: number;
  isEnded: boolean;
}

export const mostPerToken = 2;
const subjects = ["s1", "s2"];

/**
 * Who may open a workspace, and the objects beside it: phones and hand-overs. Tokens are made,
 * renewed under another signing secret, revoked, and expire; boxes are made, used, replaced and
 * ended; their objects fail to be cleared. What this knows survives each restore.
 */
export class Access {
  readonly #sim: Sim;
  readonly #host: SimHost;
  readonly #tokens: Token[] = [];
  readonly #boxes: Box[] = [];
  /** Objects that hold something. */
  readonly #objects = new Set<string>();
  #last = 0;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
    host.onEndedBoxes = () => this.#clearLater();
  }

  /** One act of a machine or an admin. */
  act(): void {
    const { rng } = this.#sim;
    const token = this.#tokens.length === 0 || rng.chance(0.1) ? this.#addToken() : rng.pick(this.#tokens.slice(-4));
    if (token === null) return;
    const acts = [() => this.#addBox(token), () => this.#use(token), () => this.#end(token), () => this.#renew(token)];
    rng.pick([...acts, () => this.#addBox(token), () => this.#use(token), () => this.#revoke(token)])();
  }

  #addToken(): Token | null {
    const { rng, hostNow } = this.#sim;
    const id = `tok_${(this.#last += 1)}`;
    const expiresAt = rng.chance(0.3) ? hostNow + rng.between(10_000, 1_200_000) : null;
    const bearer = { id, machine: `m${rng.below(3)}`, scope: "work", expiresAt } as const;
    const made = { ...bearer, hashes: [`${id}#0`], isRevoked: false };
    const added = this.#host.run(
      (tx) => tokens.add(tx, "admin", { ...bearer, hash: `${id}#0` }),
      () => void this.#tokens.push(made),
    );
    return added?.ok ? made : null;
  }

  /** As the Worker does: the holder has the newest signature, or the one before it. */
  #authenticated<T>(token: Token, work: (tx: Tx, hash: string) => Result<T>, onKept: (done: T) => void): void {
    const { rng } = this.#sim;
    const hash = rng.chance(0.1) ? `${token.id}#made up` : rng.pick(token.hashes);
    const isRight = token.hashes.includes(hash);
    this.#host.run(
      (tx): Result<T> => {
        const bearer = tokens.toBearer(tokens.find(tx, token.id), hash, tx.now);
        const isValid = isRight && !token.isRevoked && (token.expiresAt ?? Infinity) > tx.now;
        this.#sim.must(
          (bearer !== null) === isValid,
          "access",
          () => `${token.id} is ${isValid ? "valid" : "not valid"}`,
        );
        return bearer ? work(tx, hash) : err({ code: "unauthenticated", message: "no" });
      },
      (result) => (result.ok ? onKept(result.value) : this.#sim.count(`access refused: ${result.error.code}`)),
    );
  }

  /** The signing secret was changed: the same token with another signature. */
  #renew(token: Token): void {
    const next = `${token.id}#${(this.#last += 1)}`;
    this.#authenticated(
      token,
      (tx, hash) => {
        const renewed = tokens.renew(tx, { id: token.id, hash }, next);
        return renewed.ok ? ok(hash) : renewed;
      },
      (hash) => {
        token.hashes = [hash, next];
        this.#sim.count("token renewed");
      },
    );
  }

  #revoke(token: Token): void {
    this.#host.run(
      (tx) => {
        const revoked = tokens.revoke(tx, { machine: "admin", isAdmin: true }, token.id);
        boxes.end(tx, { token: token.id });
        return revoked;
      },
      () => {
        token.isRevoked = true;
        for (const box of this.#boxes) if (box.token === token) box.isEnded = true;
        this.#sim.count("token revoked");
      },
    );
  }

  #addBox(token: Token): void {
    const { rng } = this.#sim;
    const id = `box_${(this.#last += 1)}`;
    const kind = rng.pick(["phone", "handover"] as const);
    const subject = rng.chance(0.5) ? rng.pick(subjects) : null;
    const forMs = rng.between(60_000, 300_000);
    const input = { kind, subject: subject ?? undefined, forMs, claimHash: "0", parts: 1, chars: 10 };
    const { machine } = token;
    this.#authenticated(
      token,
      (tx) => boxes.add(tx, { id, token: token.id }, input),
      ({ until }) => {
        for (const box of this.#boxes) {
          const isReplaced = box.kind === kind && box.subject === subject && box.token.machine === machine;
          if (subject !== null && isReplaced) box.isEnded = true;
        }
        this.#boxes.push({ id, kind, token, subject, until, isEnded: false });
        this.#objects.add(id);
        const isOpen = (box: Box): boolean => !box.isEnded && box.until > this.#sim.hostNow;
        const own = this.#boxes.filter((box) => box.token === token && isOpen(box));
        this.#sim.must(own.length <= mostPerToken, "access", () => `${token.id} has ${own.length} boxes`);
        this.#sim.must(until <= (token.expiresAt ?? Infinity), "access", () => `${id} outlives its token`);
        this.#sim.count(`box: ${kind}`);
      },
    );
  }

  /** A machine uses a box, its own or another's; a phone is paired for longer. */
  #use(token: Token, given?: Box): void {
    const { rng } = this.#sim;
    if (this.#boxes.length === 0) return;
    const box = given ?? rng.pick(this.#boxes.slice(-20));
    const forMs = rng.chance(0.4) ? rng.between(60_000, 900_000) : undefined;
    this.#authenticated(
      token,
      (tx) => {
        const used = boxes.use(tx, { id: box.id, kind: box.kind, token: token.id }, forMs);
        const mayUse = box.token === token && !box.isEnded && box.until > tx.now;
        this.#sim.must(
          used.ok === mayUse,
          "access",
          () => `${box.id} ${mayUse ? "opens" : "does not open"} for ${token.id}`,
        );
        if (mayUse) this.#sim.must(this.#objects.has(box.id), "access", () => `the object of ${box.id} is gone`);
        return used;
      },
      ({ until }) => {
        box.until = until;
        this.#sim.count("box used");
      },
    );
  }

  /** The machine ends those of a subject, or one by its id. */
  #end({ machine }: Token): void {
    const { rng } = this.#sim;
    const last = this.#boxes.at(-1);
    const which = last && rng.chance(0.3) ? { id: last.id } : { kind: "phone" as const, subject: rng.pick(subjects) };
    const isMeant = (box: Box): boolean =>
      box.token.machine === machine &&
      ("id" in which ? box.id === which.id : box.kind === which.kind && box.subject === which.subject);
    this.#host.handle({
      name: "boxes.end",
      input: which,
      actor: { machine, isAdmin: false },
      onKept: () => {
        for (const box of this.#boxes) if (isMeant(box)) box.isEnded = true;
      },
    });
    // Before its object is cleared.
    const ended = this.#boxes.findLast(isMeant);
    if (ended) this.#use(ended.token, ended);
  }

  /** As the object of the workspace does after a commit; an object that is not reached keeps its row. */
  #clearLater(): void {
    const { rng } = this.#sim;
    this.#sim.later(rng.between(1, 2_000), "boxes cleared", () => {
      for (const { id } of boxes.listEnded(this.#host.sql)) {
        if (rng.chance(0.2)) this.#sim.count("box not reached");
        else {
          this.#objects.delete(id);
          this.#host.run(
            (tx) => ok(boxes.boxes.delete(tx.sql, { id, isEnded: 1 })),
            () => undefined,
          );
        }
      }
    });
  }

  /** No object without an owner, whatever was restored, rotated, revoked or lost. */
  check(): void {
    const rows = new Map(boxes.boxes.select(this.#host.sql, "").map((row) => [row.id, row]));
    for (const id of this.#objects) if (!rows.has(id)) this.#sim.fail("access", `${id} belongs to no workspace`);
    for (const { id, isEnded } of this.#boxes)
      if (isEnded && rows.get(id)?.isEnded === 0) this.#sim.fail("access", `${id} was ended, and opens again`);
  }

  /** After a night: whatever has ended is cleared. */
  mustBeOver(): void {
    this.check();
    const [left] = this.#objects;
    if (left !== undefined) this.#sim.fail("due", `the object of ${left} was never cleared`);
  }
}
