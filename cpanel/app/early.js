/* Before the first paint: the theme and the language that were chosen in this browser. A script of its own, since the page's
 * policy allows none inside it. */
{
  const root = document.documentElement;
  const kept = (name) => { try { return localStorage.getItem(`cpanel.${name}`); } catch { return null; } };
  const theme = kept('theme');
  const language = kept('language');
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  if (language === 'en' || language === 'ru') root.lang = language;
}
