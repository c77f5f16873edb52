import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer } from "../host.ts";
import { notice, revision } from "../page-state.ts";
import { Trouble } from "./pieces.tsx";

export interface Action {
  readonly title: string;
  /** Effects, and whether they can be undone. */
  readonly effect: readonly string[];
  readonly verb: string;
  readonly isFinal?: true;
  /** @param requestId the same for each repeat of this request */
  readonly run: (requestId: string) => Promise<Answer<unknown>>;
  readonly done: string;
}

const asked = signal<Action | null>(null);

/** [WP8] Shows the effect of an action, and asks once. */
export function ActionButton({ action, label }: { action: Action; label?: string }): JSX.Element {
  return (
    <button type="button" class={action.isFinal ? "final" : ""} onClick={() => (asked.value = action)}>
      {label ?? action.verb}
    </button>
  );
}

export function ActionButtons({ actions }: { actions: readonly Action[] }): JSX.Element {
  return (
    <div class="buttons">
      {actions.map((action) => (
        <ActionButton key={action.verb} action={action} />
      ))}
    </div>
  );
}

export function ConfirmDialog(): JSX.Element | null {
  const action = asked.value;
  return action && <Question key={action.title} action={action} />;
}

function Question({ action }: { action: Action }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const [requestId] = useState(() => crypto.randomUUID());
  const [state, setState] = useState<{ isRunning: boolean; trouble: string | null }>(idle);
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => opener instanceof HTMLElement && opener.isConnected && opener.focus();
  }, []);
  const run = async (): Promise<void> => {
    setState({ isRunning: true, trouble: null });
    const answer = await action.run(requestId);
    if (!answer.ok) return setState({ isRunning: false, trouble: answer.error.message });
    notice.value = action.done;
    asked.value = null;
    revision.value++;
  };
  return (
    <dialog ref={dialog} aria-labelledby="asked" onClose={() => (asked.value = null)}>
      <h2 id="asked">{action.title}</h2>
      <ul>
        {action.effect.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      <Trouble text={state.trouble} />
      <div class="buttons">
        <button type="button" onClick={() => dialog.current?.close()}>
          Leave it
        </button>
        <button
          type="button"
          class={action.isFinal ? "final" : "main"}
          disabled={state.isRunning}
          onClick={() => void run()}
        >
          {state.isRunning ? "Running …" : action.verb}
        </button>
      </div>
    </dialog>
  );
}

const idle = { isRunning: false, trouble: null };
