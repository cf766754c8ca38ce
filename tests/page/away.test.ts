import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Program, samplesPlayed, startProgram, until } from '../host/program.ts';
import {
  desktop,
  isTooWide,
  openTab,
  phone,
  picture,
  rowsOf,
  skipWithoutBrowser,
  startBrowser,
  violationsOn,
} from './browser.ts';

describe.skipIf(skipWithoutBrowser())('the page, while the server is away', { timeout: 120_000 }, () => {
  let program: Program;
  let browser: Browser;

  beforeAll(async () => {
    program = await startProgram({ args: ['--port', '0', '--data', ':memory:', '--samples'] });
    await samplesPlayed(program.log);
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  const banner = (page: Page) => page.getByRole('alert').filter({ hasText: 'The server cannot be reached' });

  it.each([
    ['a tile', (page: Page) => page.getByRole('link', { name: /^Gone/ }).click()],
    ['a filter', (page: Page) => page.getByRole('link', { name: /^LOW/ }).click()],
    ['a search', (page: Page) => page.getByLabel('Search in findings').fill('openssl')],
  ])('shows no other rows under %s that is chosen then, and the right ones when it is back', async (_what, choose) => {
    const { page, context } = await openTab(browser);
    await page.goto(program.url);
    await page.getByText('Live', { exact: true }).waitFor();
    const count = await rowsOf(page).count();
    await context.setOffline(true);
    await choose(page);
    await page.getByRole('main').getByText('The server cannot be reached').waitFor();
    expect(await rowsOf(page).count()).toBe(0);
    await expect.poll(() => page.title()).toBe('zen-watcher');
    expect(await page.locator('.views strong').first().isVisible()).toBe(false);
    expect(await violationsOn(page)).toEqual([]);
    await picture(page, 'awaited');
    await context.setOffline(false);
    await expect.poll(() => page.title(), { timeout: 20_000 }).toMatch(/\d+ .*findings? – zen-watcher$/);
    expect(await rowsOf(page).count()).not.toBe(count);
    expect(await page.locator('.views strong').first().isVisible()).toBe(true);
  });

  it('shows no other rows under a choice that a server does not answer at all', async () => {
    const { page } = await openTab(browser);
    await page.goto(program.url);
    await page.getByText('Live', { exact: true }).waitFor();
    await page.route('**/observations/table?*', () => undefined);
    await page.getByRole('link', { name: /^Gone/ }).click();
    await page.getByRole('main').getByText('Loading…').waitFor();
    expect(await rowsOf(page).count()).toBe(0);
  });

  it('is called live once something was read, and not before', async () => {
    const { page } = await openTab(browser);
    const answered = Promise.withResolvers<void>();
    let reads = 0;
    await page.route('**/observations/table?*', async (route) => {
      reads += 1;
      await answered.promise;
      // One that the page has given up meanwhile cannot be answered.
      await route.continue().catch(() => undefined);
    });
    await page.goto(program.url);
    // The page reads once more when the stream of changes is open.
    await until('a second read', () => reads >= 2);
    expect(await page.getByRole('status').innerText()).toBe('Connecting');
    await page.getByRole('main').getByText('Loading…').waitFor();
    answered.resolve();
    await page.getByText('Live', { exact: true }).waitFor();
    expect(await rowsOf(page).count()).toBeGreaterThan(0);
  });

  it.each([
    ['a desktop', desktop],
    ['a phone', phone],
  ])('says on %s that it is away wherever one has scrolled to, and beside an open finding', async (_what, look) => {
    const { page, context } = await openTab(browser, look);
    await page.goto(program.url);
    await page.getByText('Live', { exact: true }).waitFor();
    await rowsOf(page).nth(1).getByRole('link').click();
    await page.getByRole('heading', { name: 'History' }).waitFor();
    await context.setOffline(true);
    await page.route('**/observations**', (route) => route.abort());
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await banner(page).waitFor();
    const isOnTop = () =>
      page.evaluate(`(() => {
        const element = document.querySelector('.away');
        const { left, top, width, height } = element.getBoundingClientRect();
        return top >= 0 && document.elementFromPoint(left + width / 2, top + height / 2) === element;
      })()`);
    expect(await isOnTop()).toBe(true);
    await page.getByRole('button', { name: 'Close' }).click();
    await page.evaluate('scrollTo(0, document.body.scrollHeight)');
    expect(await isOnTop()).toBe(true);
    expect(await isTooWide(page)).toBe(false);
    await picture(page, `away-${look.width}`);
  });
});
