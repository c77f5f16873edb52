import { runInDurableObject } from "cloudflare:test";
import { onTestFinished } from "vitest";
import type { Granted } from "#src/contract/phone-frames.ts";
import type { PhoneStatus } from "#src/contract/phones.ts";
import * as pairs from "#src/pairing/pairing.ts";
import { hashOf, randomText } from "#src/pairing/sealing.ts";
import { bearer, bindings, Connection, origin, request, send, type TestWorkspace } from "./support.ts";

const about = { machine: "ada-laptop", scope: "answer", endsAt: 1, replaced: [] } as const;

/** A machine that pairs, and the phones that have its link. */
export class Pairing {
  readonly link: pairs.PairingLink;
  readonly claim: string;
  readonly token: string;
  /** Path of the machine. */
  readonly own: string;
  /** Path of the phone. */
  readonly path: string;
  readonly granted: Granted = { key: randomText(32), access: randomText(32), ...about };

  private constructor(name: string, token: string, link: pairs.PairingLink, claim: string) {
    this.link = link;
    this.claim = claim;
    this.token = token;
    this.own = `/v1/workspaces/${name}/phones/${link.id}`;
    this.path = `/v1/phones/${link.id}`;
  }

  static async begin(workspace: TestWorkspace, forMs = 300_000, token = workspace.token): Promise<Pairing> {
    const secret = pairs.newPairingSecret();
    const claim = await pairs.claimOf(secret);
    const claimHash = await hashOf(claim);
    const { id } = await workspace.ask("boxes.create", { kind: "phone", claimHash, forMs }, token);
    return new Pairing(workspace.name, token, { id, secret }, claim);
  }

  async introduce(keys: pairs.PhoneKeys, name: string, link = this.link, claimant = "c".repeat(22)): Promise<Response> {
    const introduction = await pairs.sealIntroduction(link, {
      publicKey: keys.publicKey,
      browser: "b".repeat(22),
      name,
    });
    return send(`${this.path}/introduction`, "POST", { claim: this.claim, claimant, introduction });
  }

  async status(): Promise<PhoneStatus> {
    return (await request(this.own, { headers: bearer(this.token) })).json();
  }

  async introduced() {
    return pairs.openIntroduction(this.link, (await this.status()).introduction ?? "");
  }

  async grant(publicKey: string, forMs = 3_600_000): Promise<Response> {
    const grant = await pairs.sealGrant(this.link, publicKey, this.granted);
    const accessHash = await hashOf(this.granted.access);
    return send(this.own, "PUT", { grant, accessHash, forMs }, this.token);
  }

  /** A paired phone. */
  static async paired(workspace: TestWorkspace, token = workspace.token): Promise<Pairing> {
    const pairing = await Pairing.begin(workspace, 300_000, token);
    const keys = await pairs.newPhoneKeys();
    await pairing.introduce(keys, "phone");
    await pairing.grant(keys.publicKey);
    return pairing;
  }

  readGrant(claimant = "c".repeat(22)): Promise<Response> {
    return send(`${this.path}/grant`, "POST", { claim: this.claim, claimant });
  }

  openMachine(token = this.token): Promise<Response> {
    return request(`${this.own}/connect`, { headers: { ...bearer(token), upgrade: "websocket" } });
  }

  openPhone(access = this.granted.access, from = origin): Promise<Response> {
    const opening = { host: new URL(origin).host, upgrade: "websocket", origin: from };
    const headers = { ...opening, "sec-websocket-protocol": `shim.phone, ${access}` };
    return request(`${this.path}/connect`, { headers });
  }

  stored(): Promise<string> {
    const box = bindings.PHONES.getByName(this.link.id);
    return runInDurableObject(box, (_box, { storage }) => JSON.stringify([...storage.kv.list()]));
  }
}

export async function connected(response: Promise<Response>): Promise<Connection> {
  const { webSocket, status } = await response;
  if (!webSocket) throw new Error(`no connection: ${status}`);
  const connection = new Connection(webSocket);
  onTestFinished(() => connection.close());
  return connection;
}
