import { hostname } from "node:os";
import * as z from "zod";
import { handoverMs } from "../../../contract/sealed-boxes.ts";
import { formatLink, GivenRelay, parseLink, TakenRelay } from "../../../coordinator-client/handover-relay.ts";
import type { EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { parseJson } from "../../../shared/json-fields.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { digestOf } from "../../sharing/envelope.ts";
import * as meta from "../../../store/meta.ts";
import { handoverKey, openHandover, type HandedOver, type HandoverKey } from "./package.ts";

export interface SentHandover {
  readonly key: HandoverKey;
  readonly session: string;
  readonly envelopes: readonly string[];
  /** Time in which it can be taken, in ms. */
  readonly forMs: number;
}

/** Stores the envelopes at the coordinator of the workspace. @returns why not */
export async function sendHandover(
  edge: EdgeConfig,
  { key, session, envelopes, forMs }: SentHandover,
): Promise<Result<{ readonly id: string; readonly link: string }, string>> {
  const relay = new GivenRelay(edge);
  const claimHash = digestOf(Buffer.from(key.claim, "utf8"));
  const chars = envelopes.reduce((sum, envelope) => sum + envelope.length, 0);
  const made = await relay.make({ subject: session, claimHash, parts: envelopes.length, chars, forMs });
  if (!made.ok) return err(made.error.message);
  const { id } = made.value;
  for (const [part, envelope] of envelopes.entries()) {
    const sent = await relay.put(id, part, envelope);
    if (sent.ok) continue;
    await relay.end({ id });
    return err(sent.error.message);
  }
  const secret = Buffer.from(key.bytes).toString("base64url");
  return ok({ id, link: formatLink({ url: edge.url, id, secret }) });
}

export interface ReceivedHandover {
  readonly given: HandedOver;
  /** Deletes it at the coordinator, once the session is stored here. */
  readonly finish: () => Promise<void>;
}

/** Takes what a link names; after a break the same machine may begin again, and no other. */
export async function receiveHandover(runtime: Runtime, text: string): Promise<Result<ReceivedHandover, string>> {
  const link = parseLink(text);
  if (!link.ok) return link;
  const { id, secret } = link.value;
  const key = handoverKey(Uint8Array.from(Buffer.from(secret, "base64url")));
  const claim = { claim: key.claim, claimant: claimantOf(runtime, id), by: hostname() };
  const relay = new TakenRelay(link.value, claim);
  const claimed = await relay.claim();
  if (!claimed.ok) return err(claimed.error.message);
  const envelopes: string[] = [];
  for (let part = 0; part < claimed.value.parts; part += 1) {
    const read = await relay.read(part);
    // Only the machine that has claimed it comes so far.
    if (!read.ok && read.error.code === "handover_taken")
      return err("this machine has taken it already: `shim sessions` lists it, and `shim resume` continues it");
    if (!read.ok) return err(read.error.message);
    envelopes.push(read.value);
  }
  const given = openHandover(envelopes, key);
  if (!given.ok) return given;
  const finish = async (): Promise<void> => {
    const finished = await relay.finish();
    // Its time ends it all the same.
    if (!finished.ok) runtime.log("warn", "a hand-over is still at its coordinator", { error: finished.error.message });
  };
  return ok({ given: given.value, finish });
}

const name = "handover";
const Claimed = z.object({ claimant: z.string(), at: z.number() });

/** The same for each try of this machine, as long as a coordinator may hold the hand-over. */
function claimantOf({ store, random, now }: Runtime, id: string): string {
  const fresh = { claimant: Buffer.from(random(16)).toString("base64url"), at: now() };
  return store.write((sql) => {
    const key = `${name}:${id}`;
    for (const row of meta.listOf(sql, name)) {
      const claimed = Claimed.safeParse(parseJson(row.value)).data;
      if (claimed === undefined || now() - claimed.at > handoverMs.max) meta.remove(sql, row.key);
      else if (row.key === key) return claimed.claimant;
    }
    meta.write(sql, key, JSON.stringify(fresh));
    return fresh.claimant;
  });
}
