/** `npm start`: the main job of SHIM where no client is connected yet, else what is live here. */

export interface StartSystem {
  /** Runs `shim` in this terminal. @returns its exit code */
  readonly shim: (...words: string[]) => Promise<number>;
  /** Clients of this machine, those without SHIM too. */
  readonly clients: () => Promise<readonly ClientState[]>;
  readonly isTerminal: boolean;
  readonly print: (line: string) => void;
}

export interface ClientState {
  readonly label: string;
  readonly isInstalled: boolean;
}

/** @returns the exit code */
export async function start({ shim, clients, isTerminal, print }: StartSystem): Promise<number> {
  const found = await clients();
  if (found.some(({ isInstalled }) => isInstalled)) return shim("up");
  print("No client of this machine is connected to SHIM, so this shows what it does with a scripted chat:\n");
  const code = await shim("demo");
  if (code !== 0) return code;
  const labels = found.map(({ label }) => label).join(", ");
  if (labels === "") {
    print("\nNo client was found here. `npm run init -- --client claude-code` connects one that SHIM does not find.");
    return 0;
  }
  if (isTerminal) return shim("init");
  print(`\nFound here: ${labels}. \`npm run init\` connects; it says first what it changes.`);
  return 0;
}
