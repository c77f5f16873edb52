import { isMachineOperation, machineOperations } from "../../contract/machine/operations.ts";
import type { PageCall, PageOperation } from "../../contract/live-page.ts";
import { offeredOn, operations } from "../../contract/operations.ts";
import { err, type Result } from "../../shared/result.ts";
import type { Host } from "./host.ts";
import type { KeptWorkspace } from "./kept-workspace.ts";
import type { PageError } from "./page/page-app.ts";

const maxAnswers = 200;

type Answer = Result<unknown, PageError>;

/** [WP7] Answers the page's calls; repeats of a request get the answer of the first. */
export class PageCalls {
  readonly #host: Pick<Host, "call">;
  readonly #workspace: KeptWorkspace;
  readonly #answers = new Map<string, Promise<Answer>>();

  constructor(host: Pick<Host, "call">, workspace: KeptWorkspace) {
    this.#host = host;
    this.#workspace = workspace;
  }

  answer(call: PageCall): Promise<Answer> {
    const { requestId } = call;
    if (requestId === undefined) return this.#run(call);
    const key = `${call.name} ${requestId}`;
    const known = this.#answers.get(key);
    if (known) return known;
    const answer = this.#run(call);
    this.#answers.set(key, answer);
    // A request that has failed may be sent again.
    void answer.then(
      ({ ok }) => ok || this.#answers.delete(key),
      () => this.#answers.delete(key),
    );
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > maxAnswers && oldest !== undefined) this.#answers.delete(oldest);
    return answer;
  }

  async #run({ name, input, requestId }: PageCall): Promise<Answer> {
    if (isMachineOperation(name) && machineOperations[name].surfaces.includes("page"))
      return this.#host.call(name, input);
    const operation = offeredOn("page").find((one) => one === name);
    if (operation === undefined) return err({ code: "unknown_operation", message: `the page has no ${name}` });
    return this.#work(operation, input, requestId);
  }

  async #work(name: PageOperation, input: PageCall["input"], requestId: string | undefined): Promise<Answer> {
    const workspace = await this.#workspace.open();
    if (!workspace.ok) return workspace;
    const takesId = requestId !== undefined && "requestId" in operations[name].input.shape;
    return workspace.value.call(name, takesId ? { ...input, requestId } : input);
  }
}
