import { hostname } from "node:os";
import type { Failure } from "../../contract/errors.ts";
import type { Phone } from "../../contract/machine/phones.ts";
import type { Introduction } from "../../contract/phone-frames.ts";
import { pairedMs } from "../../contract/phones.ts";
import { pairingMs } from "../../contract/sealed-boxes.ts";
import { nameOf, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { PhoneRelay } from "../../coordinator-client/phone-relay.ts";
import {
  checkNumber,
  claimOf,
  newPairingSecret,
  openIntroduction,
  pairingFragment,
  sealGrant,
} from "../../pairing/pairing.ts";
import { hashOf, randomText } from "../../pairing/sealing.ts";
import { reachOf } from "../../shared/host-reach.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { oneLine } from "../../shared/format.ts";
import { changePhones, readPhones, type Offered, type PairedPhone } from "../sharing/phones/phone-file.ts";
import { requireCoordinator } from "../sharing/operations/membership.ts";
import type { PairingRelay } from "../context/pairing-relay.ts";
import type { HandlerContext, Handlers } from "../recovery/handler-context.ts";
import { pickOne } from "../recovery/resolve-id.ts";
import { refuseChat } from "./by-chat.ts";

export const phoneHandlers: Pick<
  Handlers,
  "phones.offer" | "phones.opened" | "phones.decide" | "phones.list" | "phones.remove"
> = {
  async "phones.offer"(context, { answer, for: forMs, url, port }) {
    const refused = await refuseChat(context, "pair a phone");
    if (refused !== null) return refused;
    if (forMs < pairedMs.min || forMs > pairedMs.max)
      return fail("bad_input", "a phone is paired for a minute to a year: give --for in between.");
    const address = url === undefined ? ok(null) : addressOf(url);
    if (!address.ok) return address;
    const relay = await relayFor(context, address.value !== null);
    if (!relay.ok) return relay;
    const secret = newPairingSecret();
    const made = await relay.value.create(await hashOf(await claimOf(secret)), pairingMs.default);
    if (!made.ok) return refuse(made.error);
    const { id } = made.value;
    const until = context.site.now() + pairingMs.default;
    const offered: Offered = { id, secret, scope: answer ? "answer" : "view", own: address.value, forMs, until };
    change(context, (file) => ({ ...file, offered: [...file.offered, offered] }));
    // While nothing is offered there, a refresh of the connections closes what is opened now.
    const own = address.value === null ? ok(null) : await serveOwn(context, address.value, port);
    if (!own.ok) return withdraw(context, id).then(() => own);
    return ok({
      id,
      link: `${address.value ?? relay.value.origin}/${pairingFragment(offered)}`,
      until,
      own: own.value,
    });
  },

  async "phones.opened"(context, { id }) {
    const opened = await readIntroduction(context, id);
    if (!opened.ok || opened.value === null) return opened.ok ? ok({ phone: null }) : opened;
    const { offered, introduction } = opened.value;
    const number = await checkNumber(offered, introduction.publicKey);
    const { phones } = readPhones(context.paths.home);
    const isPaired = phones.some(({ browser }) => browser === introduction.browser);
    return ok({ phone: { name: oneLine(introduction.name), number, isPaired } });
  },

  async "phones.decide"(context, { id, number }) {
    if (number === null) return withdraw(context, id);
    const opened = await readIntroduction(context, id);
    if (!opened.ok) return opened;
    if (opened.value === null) return fail("not_found", "no phone has opened the link.");
    const { offered, introduction, relay } = opened.value;
    if ((await checkNumber(offered, introduction.publicKey)) !== number) {
      await withdraw(context, id);
      const message = "the coordinator has named another phone than the one that was compared: nothing was paired.";
      return fail("bad_input", message);
    }
    const now = context.site.now();
    const { browser } = introduction;
    const replaced = readPhones(context.paths.home).phones.filter((one) => one.browser === browser);
    const granted = {
      key: randomText(32),
      access: randomText(32),
      machine: relay.machine,
      scope: offered.scope,
      endsAt: now + offered.forMs,
      replaced: replaced.map((one) => one.id),
    };
    const { key, access, scope, endsAt } = granted;
    const accessHash = await hashOf(access);
    const phone: PairedPhone = {
      id,
      name: oneLine(introduction.name),
      browser,
      key,
      scope,
      workspace: relay.workspace,
      own: offered.own === null ? null : { url: offered.own, accessHash },
      pairedAt: now,
      seenAt: null,
      endsAt,
      push: null,
      pushed: null,
    };
    const isOther = ({ id: other }: { readonly id: string }): boolean => other !== id;
    // Before the phone can have its key.
    change(context, (file) => {
      return { ...file, offered: file.offered.filter(isOther), phones: [...file.phones.filter(isOther), phone] };
    });
    const grant = await sealGrant(offered, introduction.publicKey, granted);
    const given = await relay.grant(id, { grant, accessHash, forMs: offered.forMs });
    if (given.ok) {
      for (const one of replaced) await end(context, one);
      return ok({ phone: viewOf(phone, true) });
    }
    change(context, (file) => ({ ...file, phones: file.phones.filter(isOther) }));
    // The coordinator may have paired it, and only its answer be lost.
    await relay.end({ id });
    return refuse(given.error);
  },

  async "phones.list"(context) {
    const { paths, site } = context;
    const edge = edgeOf(context);
    const phones = readPhones(paths.home).phones.filter(({ endsAt }) => endsAt > site.now());
    const isPaired = async (phone: PairedPhone): Promise<boolean | null> =>
      phone.own !== null || ((await relayOf(edge, phone)?.isPaired(phone.id)) ?? null);
    const views = phones.map(async (phone) => viewOf(phone, await isPaired(phone)));
    return ok({ phones: await Promise.all(views) });
  },

  async "phones.remove"(context, { phone: given }) {
    const { phones } = readPhones(context.paths.home);
    const named = phones.filter(({ id, name }) => id.startsWith(given) || name === given);
    const found = pickOne(named, given, {
      what: "phone",
      list: "shim phones list",
      describe: ({ id, name }) => `${id.slice(0, 8)}  ${name}`,
    });
    if (!found.ok) return found;
    return ok({ name: found.value.name, isEndedThere: await end(context, found.value) });
  },
};

/** Its frames open nothing from now on. @returns whether the relay has confirmed it */
async function end(context: HandlerContext, phone: PairedPhone): Promise<boolean> {
  change(context, (file) => ({ ...file, phones: file.phones.filter(({ id }) => id !== phone.id) }));
  const relay = phone.own === null ? relayOf(edgeOf(context), phone) : await context.ownRelay?.();
  const ended = await relay?.end({ id: phone.id });
  return ended?.ok === true;
}

function change({ paths, site, onPhonesChanged }: HandlerContext, how: Parameters<typeof changePhones>[2]): void {
  changePhones(paths.home, site.now(), how);
  onPhonesChanged?.();
}

/** Nothing pairs by the link any more, also while the coordinator does not answer. */
async function withdraw(context: HandlerContext, id: string): Promise<Result<{ phone: null }>> {
  const offered = readPhones(context.paths.home).offered.find((one) => one.id === id);
  change(context, (file) => ({ ...file, offered: file.offered.filter((one) => one.id !== id) }));
  const relay = await relayFor(context, offered !== undefined && offered.own !== null);
  if (relay.ok) await relay.value.end({ id });
  return ok({ phone: null });
}

interface Opened {
  readonly offered: Offered;
  readonly introduction: Introduction;
  readonly relay: NamedRelay;
}

/** @returns null: no phone has opened the link */
async function readIntroduction(context: HandlerContext, id: string): Promise<Result<Opened | null>> {
  const offered = readPhones(context.paths.home).offered.find((one) => one.id === id);
  const isOver = offered === undefined || offered.until <= context.site.now();
  if (isOver) return fail("not_found", "the link is over: run `shim pair` again.");
  const relay = await relayFor(context, offered.own !== null);
  if (!relay.ok) return relay;
  const status = await relay.value.status(id);
  if (!status.ok) return refuse(status.error);
  if (status.value.introduction === null) return ok(null);
  const introduction = await openIntroduction(offered, status.value.introduction);
  if (introduction !== null) return ok({ offered, introduction, relay: relay.value });
  const message = "the coordinator has sent an introduction that is from no phone with this link: nothing was paired.";
  return fail("bad_input", message);
}

/** A relay with the names that a phone gets. */
interface NamedRelay extends PairingRelay {
  /** Address of its page. */
  readonly origin: string;
  /** Name of this machine there. */
  readonly machine: string;
  /** Its name by `nameOf`; empty for the own relay. */
  readonly workspace: string;
}

const noHost = fail("edge_unreachable", "only the host of this machine relays for its phones.");

/** @returns the port of loopback that the address has to lead to, and whether it does */
async function serveOwn(
  context: HandlerContext,
  url: string,
  port: number | undefined,
): Promise<Result<{ port: number; isReached: boolean }>> {
  const relay = await context.ownRelay?.();
  if (relay === undefined) return noHost;
  const opened = await relay.open(port);
  return opened.ok ? ok({ port: opened.value.port, isReached: await relay.isReachedAt(url) }) : opened;
}

async function relayFor(context: HandlerContext, isOwn: boolean): Promise<Result<NamedRelay>> {
  if (isOwn) {
    const own = await context.ownRelay?.();
    if (own === undefined) return noHost;
    return ok(named(own, { origin: "", machine: hostname(), workspace: "" }));
  }
  const edge = edgeOf(context);
  if (!edge.ok) return edge;
  const { url, machine } = edge.value;
  return ok(named(new PhoneRelay(edge.value), { origin: new URL(url).origin, machine, workspace: nameOf(edge.value) }));
}

function named(relay: PairingRelay, names: Pick<NamedRelay, "origin" | "machine" | "workspace">): NamedRelay {
  return {
    ...names,
    create: (claimHash, forMs) => relay.create(claimHash, forMs),
    status: (id) => relay.status(id),
    grant: (id, grant) => relay.grant(id, grant),
    end: (which) => relay.end(which),
  };
}

/** @returns the origin of an address at which a browser gives the page its keys */
function addressOf(given: string): Result<string> {
  const url = URL.canParse(given) ? new URL(given) : null;
  const isPage = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "";
  if (!isPage)
    return fail("bad_input", "--url is an address without a path, such as https://ada-laptop.example.ts.net.");
  if (url.protocol === "https:" || reachOf(url.hostname) === "machine") return ok(url.origin);
  const message =
    "a browser gives a page keys and notifications over https alone: use an https address, of a tunnel or of a proxy with a certificate.";
  return fail("bad_input", message);
}

/** The coordinator that phones reach the machine through. */
function edgeOf({ paths, site }: HandlerContext): Result<EdgeConfig> {
  const without =
    "a phone reaches this machine through a coordinator, and this machine is in no workspace: `shim workspace join <name>` joins one, or `shim pair --url https://...` pairs over a tunnel or a proxy of yours.";
  return requireCoordinator(paths.home, site.env, without);
}

function refuse({ code, message }: Failure): Result<never> {
  return fail(code === "unknown_phone" ? "not_found" : "edge_unreachable", `${message}.`);
}

/** @returns null: the machine is no longer in the workspace of the phone */
function relayOf(edge: Result<EdgeConfig>, { workspace }: PairedPhone): PhoneRelay | null {
  return edge.ok && nameOf(edge.value) === workspace ? new PhoneRelay(edge.value) : null;
}

function viewOf(
  { id, name, scope, pairedAt, seenAt, endsAt, push, pushed }: PairedPhone,
  isPairedThere: Phone["isPaired"],
): Phone {
  const notifies = push?.kinds ?? [];
  return { id, name, scope, pairedAt, seenAt, endsAt, isPaired: isPairedThere, notifies, notified: pushed };
}
