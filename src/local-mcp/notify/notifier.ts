import { spawn } from "node:child_process";
import { once } from "node:events";
import { digest } from "../../machine/sessions/entries.ts";
import { withoutSecrets } from "../../platform/program-path.ts";
import { readPhones } from "../../machine/sharing/phones/phone-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import type { Sql } from "../../shared/sql.ts";
import { sentNotifications } from "../../store/machine-tables.ts";
import { comingDeaths, dueNotifications, duePushes, type UserNotification } from "./due-notifications.ts";

/** A way to the user. */
interface Channel {
  readonly name: string;
  /** Includes what was already sent. */
  readonly due: () => Promise<readonly UserNotification[]>;
  readonly send: (notification: UserNotification) => Promise<void>;
}

export interface NotifierOptions {
  readonly runtime: Runtime;
  readonly deadTasks?: () => Promise<readonly UserNotification[]>;
}

/** Off unless the settings name a channel. */
export class Notifier {
  readonly #options: NotifierOptions;
  /** Channels whose failure is already logged. */
  readonly #failing = new Set<string>();
  #checking: Promise<void> | null = null;
  /** Set if there was no store at first: no event is older than the channel. */
  #hasBegunEmpty = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Settings and phones may change while the process runs. */
  #channels(deadTasks: () => Promise<readonly UserNotification[]>): readonly Channel[] {
    const { runtime } = this.#options;
    const { config, env, now, paths, store } = runtime;
    const { desktop, webhook } = config.notify;
    const { phones } = readPhones(paths.home);
    let ofSettings: Promise<readonly UserNotification[]> | null = null;
    const readDue = async (): Promise<readonly UserNotification[]> => [
      ...store.read((sql) => dueNotifications(sql, runtime), []),
      ...(await deadTasks()),
    ];
    const due = (): Promise<readonly UserNotification[]> => (ofSettings ??= readDue());
    return [
      ...(desktop ? [{ name: "desktop", due, send: (one) => notifyDesktop(one.text, env) } as Channel] : []),
      ...(webhook === null
        ? []
        : [{ name: "webhook", due, send: (one) => postWebhook(webhook, one, now()) } as Channel]),
      ...phones.flatMap((phone): Channel[] => {
        const { id, push, endsAt } = phone;
        if (push === null || endsAt <= now()) return [];
        return [
          {
            name: `phone ${id}`,
            due: async () => store.read((sql) => duePushes(sql, runtime, push.kinds), []),
            send: async (notification) => {
              // Most machines have no phone.
              const { notifyPhone } = await import("./web-push.ts");
              await notifyPhone(runtime, { phone, push }, notification);
            },
          },
        ];
      }),
    ];
  }

  /** Never rejects. */
  async check(): Promise<void> {
    this.#checking = this.#notify(() => this.#deadTasks());
    await this.#checking;
    this.#checking = null;
  }

  /** At once, and without a question to the coordinator. */
  async checkNow(): Promise<void> {
    await Promise.all([this.#checking, this.#notify(() => Promise.resolve([]))]);
  }

  async #notify(deadTasks: () => Promise<readonly UserNotification[]>): Promise<void> {
    const { runtime } = this.#options;
    try {
      for (const channel of this.#channels(deadTasks))
        await this.#send(channel, this.#recordUnsent(channel.name, await channel.due()));
    } catch (error) {
      runtime.log("error", "notifications", { error: messageOf(error) });
    }
  }

  async #deadTasks(): Promise<readonly UserNotification[]> {
    const { runtime, deadTasks } = this.#options;
    if (!deadTasks || !runtime.config.notify.events.includes("task_dead")) return [];
    return deadTasks();
  }

  /** Skips events from before the channel's first use. Recorded before they are sent. */
  #recordUnsent(channel: string, due: readonly UserNotification[]): UserNotification[] {
    const { runtime } = this.#options;
    const { store, now } = runtime;
    const keyOf = ({ key }: UserNotification): string => `${channel}:${key}`;
    const startKey = `${channel}:begun`;
    const hasUnsent = store.read<boolean | null>(
      (sql) => !isSent(sql, startKey) || due.some((notification) => !isSent(sql, keyOf(notification))),
      null,
    );
    if (hasUnsent === null) this.#hasBegunEmpty = true;
    if (hasUnsent !== true) return [];
    return store.write((sql) => {
      // Never pruned.
      const isFirst = record(sql, Number.MAX_SAFE_INTEGER, startKey);
      const unsent = due.filter((notification) => record(sql, now(), keyOf(notification)));
      if (!isFirst || this.#hasBegunEmpty) return unsent;
      for (const death of comingDeaths(sql, runtime)) record(sql, now(), keyOf(death));
      return [];
    });
  }

  async #send({ name, send }: Channel, notifications: readonly UserNotification[]): Promise<void> {
    for (const notification of notifications) {
      try {
        await send(notification);
        this.#failing.delete(name);
      } catch (error) {
        if (!this.#failing.has(name)) {
          this.#options.runtime.log("error", `a ${name} notification was not sent`, { error: messageOf(error) });
        }
        this.#failing.add(name);
      }
    }
  }
}

/** Returns whether the key is new: what was sent is not sent again by the next host. */
function record(sql: Sql, now: number, key: string): boolean {
  return sentNotifications.insert(sql, { key: digest(key), at: now }, "ON CONFLICT DO NOTHING") > 0;
}

function isSent(sql: Sql, key: string): boolean {
  return sentNotifications.has(sql, { key: digest(key) });
}

const timeoutMs = 5_000;

/** osascript must not run the text as a script. */
const script = ["on run argv", 'display notification (item 1 of argv) with title "SHIM"', "end run"];

export function desktopProgram(platform: NodeJS.Platform): string {
  return platform === "darwin" ? "osascript" : "notify-send";
}

/** Rejects if the desktop cannot be reached. Uses no shell. */
export async function notifyDesktop(text: string, env: NodeJS.ProcessEnv, platform = process.platform): Promise<void> {
  const command = desktopProgram(platform);
  const args =
    command === "osascript"
      ? [...script.flatMap((line) => ["-e", line]), text]
      : // Desktops parse the text as markup.
        [
          "--app-name=SHIM",
          "--",
          "SHIM",
          text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
        ];
  const child = spawn(command, args, {
    env: withoutSecrets(env),
    stdio: "ignore",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    windowsHide: true,
  });
  const [code, signal] = (await once(child, "exit")) as [code: number | null, signal: NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${command} ended with ${code ?? signal}`);
}

/** Rejects on refusal; follows no redirects, which could lead to a forbidden address. */
async function postWebhook(url: string, { event, session, title, text }: UserNotification, at: number): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "shim" },
    body: JSON.stringify({ event, at, session, title, text }),
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`);
}
