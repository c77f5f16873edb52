import { realPath } from "../../platform/real-path.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Side } from "../../snapshots/foresee-conflicts.ts";
import { userGit } from "../../snapshots/git.ts";
import { findMissing } from "../../snapshots/restore-files.ts";
import { seeOne } from "../recovery/elsewhere/candidates.ts";
import { reachFrom, type Reach } from "../recovery/elsewhere/reach.ts";
import { fetchFiles, fetchHeader } from "../sharing/fetch-records.ts";
import { findProject } from "../sharing/find-project.ts";
import * as others from "../sharing/sessions-elsewhere.ts";
import type { WorkingChat } from "./working-chats.ts";

/** Link to the workspace; null: none. */
export type OpenLink = () => Linked | null | Promise<Linked | null>;
type Linked = Parameters<typeof reachFrom>[1];

/** A chat of another machine. */
export interface ChatElsewhere extends WorkingChat {
  readonly row: others.SessionElsewhere;
  /** Id of the files that its machine has sealed last, which names its side. */
  readonly bundle: string;
}

const gitTimeoutMs = 5_000;

/** Chats of other machines, as far as they have sealed files for this one. */
export class ChatsElsewhere {
  readonly #runtime: Runtime;
  readonly #link: OpenLink;
  #reach: Reach | null = null;
  /** Commits that a bundle rests on. */
  readonly #needs = new Map<string, readonly string[]>();

  constructor(runtime: Runtime, link: OpenLink) {
    this.#runtime = runtime;
    this.#link = link;
  }

  /** At most `most`, in any project. */
  list(most: number): ChatElsewhere[] {
    const rows = this.#runtime.store.read((sql) => others.listWithFiles(sql, most), []);
    return rows.flatMap((row) => {
      const { machine, project, sealed } = row;
      const sent = sealed.files?.sent;
      if (!sent) return [];
      const at = others.toLocalTime(row, sent.at);
      const elsewhere = { machine, root: `${machine}:${project ?? ""}`, at };
      const chat = { session: row, home: sent.bundle, edits: [], elsewhere };
      return [{ ...chat, row, bundle: sent.bundle }];
    });
  }

  /** @returns whether the workspace can be asked */
  async connect(): Promise<boolean> {
    const opened = await this.#link();
    this.#reach = opened && reachFrom(this.#runtime, opened, "");
    return this.#reach !== null;
  }

  /** Chats in the project of a work tree, which the workspace names the same on each machine. */
  async inProject(all: readonly ChatElsewhere[], root: string): Promise<ChatElsewhere[]> {
    if (this.#reach === null || all.length === 0) return [];
    const { workspace, keys, machine } = this.#reach;
    const naming = { workspace, key: keys.current, machine };
    const project = await findProject(this.#runtime, naming, realPath(root));
    return all.filter(({ row }) => row.projectName === project);
  }

  /** @returns why files cannot be compared; null: the chat is over; undefined: no answer came */
  async fetch({ row, bundle }: ChatElsewhere, clone: string): Promise<Side | string | null | undefined> {
    const reach = this.#reach;
    const liveness = reach && (await seeOne(reach, row)).liveness;
    if (reach === null || liveness === null || liveness.isOver) return null;
    const needs = this.#needs.get(bundle) ?? (await this.#readNeeds(reach, row));
    if (needs === undefined) return undefined;
    this.#needs.set(bundle, needs);
    const [missing] = await findMissing(userGit(this.#runtime.env, clone, AbortSignal.timeout(gitTimeoutMs)), needs);
    if (missing !== undefined) return `commit ${missing} is not here`;
    const files = await fetchFiles(reach, row);
    if (!files.ok) return undefined;
    return { name: bundle, last: null, isSame: false, received: { bundle: files.value.bundle, needs, clone } };
  }

  async #readNeeds(reach: Reach, row: others.SessionElsewhere): Promise<readonly string[] | undefined> {
    const header = await fetchHeader(reach, row);
    return header.ok ? header.value.needs : undefined;
  }
}
