import { realPath } from "../../platform/real-path.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Side } from "../../snapshots/foresee-conflicts.ts";
import { userGit } from "../../snapshots/git.ts";
import { findMissing } from "../../snapshots/restore-files.ts";
import { assessLiveness } from "../recovery/elsewhere/remote-candidates.ts";
import { remoteContext, type RemoteContext } from "../recovery/elsewhere/remote-context.ts";
import { fetchFiles, fetchHeader } from "../sharing/fetch-records.ts";
import { findProject } from "../sharing/find-project.ts";
import * as others from "../sharing/sessions-elsewhere.ts";
import type { WorkingChat } from "./working-chats.ts";

/** Link to the workspace; null: none. */
export type OpenLink = () => Linked | null | Promise<Linked | null>;
type Linked = Parameters<typeof remoteContext>[1];

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
  #context: RemoteContext | null = null;
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
    this.#context = opened && remoteContext(this.#runtime, opened, "");
    return this.#context !== null;
  }

  /** Chats in the project of a work tree, which the workspace names the same on each machine. */
  async inProject(all: readonly ChatElsewhere[], root: string): Promise<ChatElsewhere[]> {
    if (this.#context === null || all.length === 0) return [];
    const { workspace, keys, machine } = this.#context;
    const naming = { workspace, key: keys.current, machine };
    const project = await findProject(this.#runtime, naming, realPath(root));
    return all.filter(({ row }) => row.projectName === project);
  }

  /** @returns why files cannot be compared; null: the chat is over; undefined: no answer came */
  async fetch({ row, bundle }: ChatElsewhere, clone: string): Promise<Side | string | null | undefined> {
    const context = this.#context;
    if (context === null || (await assessLiveness(context, row)).isOver) return null;
    const needs = this.#needs.get(bundle) ?? (await this.#readNeeds(context, row));
    if (needs === undefined) return undefined;
    this.#needs.set(bundle, needs);
    const [missing] = await findMissing(userGit(this.#runtime.env, clone, AbortSignal.timeout(gitTimeoutMs)), needs);
    if (missing !== undefined) return `commit ${missing} is not here`;
    const files = await fetchFiles(context, row);
    if (!files.ok) return undefined;
    return { name: bundle, last: null, isSame: false, received: { bundle: files.value.bundle, needs, clone } };
  }

  async #readNeeds(context: RemoteContext, row: others.SessionElsewhere): Promise<readonly string[] | undefined> {
    const header = await fetchHeader(context, row);
    return header.ok ? header.value.needs : undefined;
  }
}
