import type { ViteUserConfig } from 'vitest/config';

/** Vitest configuration of one package: its folder, the name shown in reports, and anything to override. */
export function tests(options: { root: string; name: string } & ViteUserConfig): ViteUserConfig;
