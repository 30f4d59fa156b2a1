//! `generate`: shell completions and man pages from the command line's definition.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::Ctx;
use super::args::Cli;
use super::error::CliError;

/// Write the shell completions and man pages of this program.
///
/// Writes DIR/completions/ (bash, zsh, fish) and DIR/man/ (one page per command). Both are kept in
/// the repository; run this at its root after a change to a command's options.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sync-gib generate .")]
pub struct GenerateArgs {
    /// The folder to write into
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// Writes the files and names each.
pub fn run(args: &GenerateArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let mut files = completions(&args.dir.join("completions"))?;
    files.extend(man_pages(&args.dir.join("man"))?);
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    for file in &files {
        ctx.out.line(file)?;
    }
    ctx.out.done(json!({"files": files}))
}

fn completions(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let cannot = |error| CliError::io(format!("cannot write into {}", dir.display()), &error);
    fs::create_dir_all(dir).map_err(cannot)?;
    let mut files = Vec::new();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut command = Cli::command();
        let file = clap_complete::generate_to(shell, &mut command, "sync-gib", dir);
        files.push(file.map_err(cannot)?);
    }
    Ok(files)
}

fn man_pages(dir: &Path) -> Result<Vec<PathBuf>, CliError> {
    let cannot = |error| CliError::io(format!("cannot write into {}", dir.display()), &error);
    fs::create_dir_all(dir).map_err(cannot)?;
    let mut command = Cli::command();
    command.build();
    let mut files = Vec::new();
    page(&command, dir, &mut files).map_err(cannot)?;
    Ok(files)
}

fn page(command: &clap::Command, dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = clap_mangen::Man::new(command.clone().after_help(None::<&str>));
    let mut text = Vec::new();
    man.render(&mut text)?;
    text.extend_from_slice(sections(&notes).as_bytes());
    let file = dir.join(man.get_filename());
    fs::write(&file, text)?;
    files.push(file);
    command.get_subcommands().try_for_each(|command| page(command, dir, files))
}

/// What the help says after the options, as sections of a page: lines stay as they are, which a
/// pasted example needs.
fn sections(notes: &str) -> String {
    let mut page = String::new();
    for paragraph in notes.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (title, lines) = match paragraph.split_once(":\n") {
            Some((_, lines)) => ("EXAMPLES", lines),
            None => ("NOTES", paragraph),
        };
        page.push_str(&format!(".SH {title}\n.nf\n"));
        for line in lines.lines() {
            let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
            page.push_str(&format!("\\&{line}\n"));
        }
        page.push_str(".fi\n");
    }
    page
}
