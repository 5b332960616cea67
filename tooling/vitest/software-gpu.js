/**
 * Tests on device `webgpu` where there is no graphics card: Chromium ships SwiftShader, a GPU in software, and a loader for it.
 * Programs that Dawn runs in find both by environment variables, which must be set before they start.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Linux distributions put Chromium. */
const FOLDERS = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/usr/lib64/chromium-browser', '/opt/google/chrome'];

/**
 * Variables for test processes; none unless FWP_WEBGPU asks for tests on the device, nor where it is `gpu` (a real one), or a
 * driver was chosen.
 *
 * @returns {Record<string, string>}
 */
export function softwareGpu() {
  const { FWP_WEBGPU, VK_ICD_FILENAMES, LD_LIBRARY_PATH } = process.env;
  if ((FWP_WEBGPU ?? '0') === '0' || FWP_WEBGPU === 'gpu' || VK_ICD_FILENAMES) return {};
  const folder = FOLDERS.find((path) => existsSync(join(path, 'vk_swiftshader_icd.json')));
  if (folder === undefined) return {};
  return {
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
    LD_LIBRARY_PATH: [folder, ...(LD_LIBRARY_PATH ? [LD_LIBRARY_PATH] : [])].join(delimiter),
  };
}
