import type { Command } from "commander";

export const completedShells = ["bash", "zsh", "fish", "powershell"] as const;

/** By the words of a command without its options, what may be typed next. */
type Words = ReadonlyMap<string, readonly string[]>;

/** Names of commands, options and choices are words that no shell reads otherwise. */
function wordsIn(command: Command, path: readonly string[] = []): [string, string[]][] {
  const options = command.options.filter(({ hidden }) => !hidden).map(({ long, short }) => long ?? short ?? "");
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const names = command.commands.map((one) => one.name());
  return [
    [path.join(" "), [...names, ...choices, ...options, "--help"]],
    ...command.commands.flatMap((one) => wordsIn(one, [...path, one.name()])),
  ];
}

/** Pure. A script that completes the words of the program in a shell, and starts nothing for it. */
export function completionScript(program: Command, shell: (typeof completedShells)[number]): string {
  return scripts[shell](new Map(wordsIn(program)));
}

const scripts: Readonly<Record<(typeof completedShells)[number], (words: Words) => string>> = {
  bash: (words) => `# In ~/.bashrc: eval "$(shim completion bash)"
_shim() {
  ${posixList(words, "${COMP_WORDS[@]:1:COMP_CWORD-1}")}
  COMPREPLY=($(compgen -W "$list" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _shim shim
`,
  zsh: (words) => `# In ~/.zshrc, after compinit: eval "$(shim completion zsh)"
_shim() {
  ${posixList(words, "${(@)words[2,CURRENT-1]}")}
  compadd -- \${=list}
  _files
}
compdef _shim shim
`,
  fish: (words) => `# shim completion fish > ~/.config/fish/completions/shim.fish
function __shim_at
  set -l at ""
  for word in (commandline -opc)[2..-1]
    switch (string trim "$at $word")
      case ${pathsOf(words).map(quoted).join(" ")}
        set at (string trim "$at $word")
    end
  end
  echo $at
end
${[...words].map(([path, list]) => `complete -c shim -n 'test "$(__shim_at)" = "${path}"' -a '${list.join(" ")}'`).join("\n")}
`,
  powershell: (words) => `# In $PROFILE: shim completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName shim -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $lists = @{
${[...words].map(([path, list]) => `    '${path}' = '${list.join(" ")}'`).join("\n")}
  }
  $at = ''
  foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
    $next = "$at $element".Trim()
    if ($element.Extent.EndOffset -lt $cursorPosition -and $lists.ContainsKey($next)) { $at = $next }
  }
  $lists[$at] -split ' ' | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`,
};

const quoted = (text: string): string => `'${text}'`;

function pathsOf(words: Words): string[] {
  return [...words.keys()].filter((path) => path !== "");
}

/** Lines that set `list` for the words that are typed; an option between them is passed over. */
function posixList(words: Words, typed: string): string {
  const cases = [...words].map(([path, list]) => `    '${path}') list="${list.join(" ")}" ;;`);
  return `local at="" list="" word
  for word in "${typed}"; do
    case "\${at:+$at }$word" in ${pathsOf(words).map(quoted).join("|")}) at="\${at:+$at }$word" ;; esac
  done
  case "$at" in\n${cases.join("\n")}\n  esac`;
}
