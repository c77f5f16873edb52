import type { Lease } from "../../contract/leases.ts";
import type { ReservedFile } from "../../contract/machine/reservations.ts";
import { overlap } from "../../contract/resource-paths.ts";
import type { Self } from "../../contract/values.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import { localWorkspace } from "../../coordinator-client/open-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { age } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import { projectRoot } from "../sessions/git-head.ts";
import * as sessions from "../sessions/sessions.ts";
import { readProjectFacts } from "../sync/find-project.ts";
import { projectKey } from "../sync/project-key.ts";
import { createNaming, type Naming } from "../team/chat-naming.ts";
import { resolveLinks, toLeasePath } from "../team/lease-paths.ts";
import * as reservationTable from "../team/reservation-table.ts";
import type { HostError, HostResult, Workspace } from "./host.ts";

interface ProjectScope {
  readonly runtime: Runtime;
  readonly link: Pick<Workspace, "machine" | "call" | "list">;
  readonly naming: Naming;
  readonly workspace: string;
  readonly root: string;
  readonly prefix: string;
}

/** Reservations of a project's files for the command line, and for chats of programs. */
export class ReservedFiles {
  readonly root: string;
  /** Start of the resources of the project's files. */
  readonly prefix: string;
  readonly #scope: ProjectScope;

  private constructor(scope: ProjectScope) {
    this.#scope = scope;
    this.root = scope.root;
    this.prefix = scope.prefix;
  }

  /** @param isReadOnly [CL8] makes no store just to keep the project's name for its hooks */
  static async open(
    runtime: Runtime,
    link: ProjectScope["link"],
    folder: string,
    isReadOnly = false,
  ): Promise<HostResult<ReservedFiles>> {
    const root = projectRoot(folder);
    if (root === null)
      return err({ code: "bad_input", message: `${folder} is not in a project: run this in a project's folder.` });
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
    const { machine } = link;
    const workspace = edge.value?.workspace ?? localWorkspace;
    const naming = createNaming(runtime, { workspace, machine, edge: edge.value });
    const isUnkept = isReadOnly && edge.value === null && !runtime.store.exists();
    const project = isUnkept
      ? ok(projectKey(null, await readProjectFacts(runtime.env, root, machine)))
      : await naming.project(root);
    if (!project.ok)
      return err({ code: "no_key", message: `the project has no name in the workspace: ${project.error}.` });
    return ok(new ReservedFiles({ runtime, link, naming, workspace, root, prefix: `file:${project.value}/` }));
  }

  /** @param paths absolute */
  toResources(paths: readonly string[]): HostResult<string[]> {
    const resources = new Set<string>();
    for (const one of paths) {
      const path = toLeasePath(this.root, one);
      if (!path.ok) return err({ code: "bad_input", message: `${path.error}.` });
      resources.add(this.prefix + resolveLinks(this.root, path.value));
    }
    return ok([...resources]);
  }

  async list(holder?: string): Promise<HostResult<Lease[]>> {
    const listed = await this.#scope.link.list("leases.list", { prefix: this.prefix, ...omitUndefined({ holder }) });
    return listed.ok ? ok(listed.value.leases) : listed;
  }

  /** [FI28] Acquires all or none. A lease that this chat already has is renewed. */
  async reserve(self: Self, resources: readonly string[], ttlMs: number): Promise<HostResult<Lease[]>> {
    const heldLeases = await this.list(self.chat);
    if (!heldLeases.ok) return heldLeases;
    const reserved: Lease[] = [];
    const granted: Lease[] = [];
    for (const resource of resources) {
      const before = heldLeases.value.find((lease) => lease.resource === resource);
      const reservation = before
        ? await this.#scope.link.call("leases.renew", { self, resource, token: before.token, ttlMs })
        : await this.#acquire(self, resource, ttlMs);
      if (!reservation.ok) {
        for (const lease of granted) await this.release(self, lease);
        return reservation;
      }
      reserved.push(reservation.value);
      if (!before) granted.push(reservation.value);
    }
    this.#store(reserved);
    return ok(reserved);
  }

  async release(self: Self, { resource, token }: Lease): Promise<HostResult<unknown>> {
    const { link, runtime } = this.#scope;
    const released = await link.call("leases.release", { self, resource, token });
    if (released.ok) runtime.store.write((sql) => reservationTable.remove(sql, resource, self.chat));
    return released;
  }

  async view({ resource, holder, heldForMs }: Lease): Promise<ReservedFile> {
    const { runtime, link, naming, prefix } = this.#scope;
    const base = { path: resource.slice(prefix.length), chat: holder, heldForMs, resource };
    const found = await link.call("chats.get", { chat: holder });
    const session = runtime.store.read((sql) => sessions.get(sql, holder), null);
    const own = session && sessions.displayTitle(session);
    if (!found.ok) return { ...base, name: own, machine: null };
    const { client, machine } = found.value;
    return { ...base, name: own ?? naming.titleOf(found.value) ?? client, machine };
  }

  async #acquire(self: Self, resource: string, ttlMs: number): Promise<HostResult<Lease>> {
    const { runtime, link } = this.#scope;
    const requestId = Buffer.from(runtime.random(16)).toString("hex");
    const answer = await link.call("leases.acquire", { self, resource, requestId, ttlMs });
    if (!answer.ok)
      return answer.error.code === "lease_held" ? err(await this.#explain(self, resource, answer.error)) : answer;
    return answer.value.state === "granted"
      ? ok(answer.value.lease)
      : err({ code: "lease_held", message: "other requests are waiting for it." });
  }

  /** [FI29] */
  async #explain(self: Self, resource: string, refused: HostError): Promise<HostError> {
    const leases = await this.list();
    const blocking = leases.ok ? leases.value.find((lease) => overlap(lease.resource, resource)) : undefined;
    if (!blocking) return refused;
    const { path, name, machine } = await this.view(blocking);
    if (blocking.holder === self.chat) {
      const message = `the command line has already reserved ${path}, which overlaps. Release that first.`;
      return { code: "lease_held", message };
    }
    const who = [name === null ? [] : `"${name}"`, `chat ${blocking.holder}`, machine === null ? [] : `on ${machine}`];
    const since = `for ${age(blocking.heldForMs)}`;
    const ask = `Ask with \`shim team send ${blocking.holder} "..."\``;
    return { code: "lease_held", message: `${path} is reserved by ${who.flat().join(", ")}, ${since}. ${ask}.` };
  }

  /** [FI30] Hooks of this machine's chats read these at once, other processes soon after. */
  #store(leases: readonly Lease[]): void {
    const { runtime, workspace, link, root } = this.#scope;
    const now = runtime.now();
    const row = { workspace, holderName: "the user, by the command line", machine: link.machine, checkout: root };
    runtime.store.write((sql) => {
      for (const { resource, holder, heldForMs } of leases)
        reservationTable.upsert(sql, now, { ...row, resource, holder, since: now - heldForMs });
    });
  }
}
