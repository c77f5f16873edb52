const secretName = /^SHIM_.*(TOKEN|SECRET|KEY)$/;

/** For programs that may run commands of a task or of a project's settings (git: filters). */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretName.test(name)));
}
