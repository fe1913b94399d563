//! How the servers word their replies: vsftpd 3, ProFTPD 1.3, Pure-FTPd 1.0. Pure.

/// Whose manners a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    Vsftpd,
    Proftpd,
    PureFtpd,
}

impl Style {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Vsftpd, Self::Proftpd, Self::PureFtpd];

    pub fn greeting(self) -> Vec<u8> {
        match self {
            Self::Vsftpd => b"220 (vsFTPd 3.0.5)\r\n".to_vec(),
            Self::Proftpd => b"220 ProFTPD Server (Debian) [::ffff:127.0.0.1]\r\n".to_vec(),
            Self::PureFtpd => b"220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\r\n\
                220-You are user number 1 of 50 allowed.\r\n\
                220-Local time is now 12:00. Server port: 21.\r\n\
                220 You will be disconnected after 15 minutes of inactivity.\r\n"
                .to_vec(),
        }
    }

    pub fn busy(self) -> &'static str {
        match self {
            Self::Vsftpd => "421 There are too many connected users, please try later.",
            Self::Proftpd => "421 Sorry, the maximum number of clients (3) are already connected",
            Self::PureFtpd => "421 3 users (the maximum) are already logged in, sorry",
        }
    }

    pub fn asleep(self) -> &'static str {
        match self {
            Self::Vsftpd => "421 Timeout.",
            Self::Proftpd => "421 Idle timeout (600 seconds): closing control connection",
            Self::PureFtpd => "421 Timeout - try typing a little faster next time",
        }
    }

    pub fn user(self, name: &str) -> String {
        match self {
            Self::Vsftpd => "331 Please specify the password.".into(),
            Self::Proftpd => format!("331 Password required for {name}"),
            Self::PureFtpd => format!("331 User {name} OK. Password required"),
        }
    }

    pub fn logged_in(self, name: &str) -> String {
        match self {
            Self::Vsftpd => "230 Login successful.".into(),
            Self::Proftpd => format!("230 User {name} logged in"),
            Self::PureFtpd => "230 OK. Current directory is /".into(),
        }
    }

    pub fn denied(self) -> &'static str {
        match self {
            Self::Vsftpd | Self::Proftpd => "530 Login incorrect.",
            Self::PureFtpd => "530 Login authentication failed",
        }
    }

    pub fn directory_changed(self, to: &str) -> String {
        match self {
            Self::Vsftpd => "250 Directory successfully changed.".into(),
            Self::Proftpd => "250 CWD command successful".into(),
            Self::PureFtpd => format!("250 OK. Current directory is {to}"),
        }
    }

    pub fn working_directory(self, quoted: &str) -> String {
        match self {
            Self::Vsftpd | Self::Proftpd => format!("257 \"{quoted}\" is the current directory"),
            Self::PureFtpd => format!("257 \"{quoted}\" is your current location"),
        }
    }

    pub fn made(self, quoted: &str) -> String {
        match self {
            Self::Vsftpd => format!("257 \"{quoted}\" created"),
            Self::Proftpd => format!("257 \"{quoted}\" - Directory successfully created"),
            Self::PureFtpd => format!("257 \"{quoted}\" : The directory was successfully created"),
        }
    }

    /// A refusal of `verb` for `name`.
    pub fn refused(self, verb: &str, name: &str, why: &str) -> String {
        match self {
            Self::Vsftpd => match verb {
                "CWD" => "550 Failed to change directory.".into(),
                "RETR" => "550 Failed to open file.".into(),
                "STOR" => "553 Could not create file.".into(),
                "DELE" => "550 Delete operation failed.".into(),
                "MKD" => "550 Create directory operation failed.".into(),
                "RMD" => "550 Remove directory operation failed.".into(),
                "RNFR" => "550 RNFR command failed.".into(),
                "RNTO" => "550 Rename failed.".into(),
                "SIZE" => "550 Could not get file size.".into(),
                "MDTM" => "550 Could not get file modification time.".into(),
                _ => "550 Failed.".into(),
            },
            Self::Proftpd => format!("550 {name}: {why}"),
            Self::PureFtpd => match verb {
                "CWD" => format!("550 Can't change directory to {name}: {why}"),
                "RETR" => format!("550 Can't open {name}: {why}"),
                "STOR" => format!("553 Can't open that file: {why}"),
                "DELE" => format!("550 Could not delete {name}: {why}"),
                "MKD" => format!("550 Can't create directory: {why}"),
                "RMD" => format!("550 Can't remove directory: {why}"),
                "RNFR" => format!("550 Sorry, but that file doesn't exist: {why}"),
                "RNTO" => format!("451 Rename/move failure: {why}"),
                _ => format!("550 Can't check for file existence: {why}"),
            },
        }
    }

    /// What a command with an effect says when it is done.
    pub fn done(self, verb: &str, name: &str) -> String {
        match self {
            Self::Vsftpd => match verb {
                "DELE" => "250 Delete operation successful.".into(),
                "RMD" => "250 Remove directory operation successful.".into(),
                "RNTO" => "250 Rename successful.".into(),
                "RNFR" => "350 Ready for RNTO.".into(),
                _ => "250 OK.".into(),
            },
            Self::Proftpd => match verb {
                "RNFR" => "350 File or directory exists, ready for destination name".into(),
                "RNTO" => "250 Rename successful".into(),
                verb => format!("250 {verb} command successful"),
            },
            Self::PureFtpd => match verb {
                "DELE" => format!("250 Deleted {name}"),
                "RMD" => "250 The directory was successfully removed".into(),
                "RNTO" => "250 File successfully renamed or moved".into(),
                "RNFR" => "350 RNFR accepted - file exists, ready for destination".into(),
                _ => "250 OK".into(),
            },
        }
    }

    pub fn restart(self, at: usize) -> String {
        match self {
            Self::Vsftpd => format!("350 Restart position accepted ({at})."),
            Self::Proftpd => {
                format!("350 Restarting at {at}. Send STORE or RETRIEVE to initiate transfer")
            }
            Self::PureFtpd => format!("350 Restarting at {at}"),
        }
    }

    pub fn type_set(self, ascii: bool) -> String {
        match self {
            Self::Vsftpd => format!(
                "200 Switching to {} mode.",
                if ascii { "ASCII" } else { "Binary" }
            ),
            Self::Proftpd => format!("200 Type set to {}", if ascii { "A" } else { "I" }),
            Self::PureFtpd => format!(
                "200 TYPE is now {}",
                if ascii { "ASCII" } else { "8-bit binary" }
            ),
        }
    }

    /// What is said when a download of `size` bytes begins.
    pub fn sending(self, name: &str, size: usize, ascii: bool) -> String {
        let mode = if ascii { "ASCII" } else { "BINARY" };
        match self {
            Self::Vsftpd => {
                format!("150 Opening {mode} mode data connection for {name} ({size} bytes).")
            }
            Self::Proftpd => {
                format!("150 Opening {mode} mode data connection for {name} ({size} bytes)")
            }
            Self::PureFtpd => {
                format!("150-Accepted data connection\r\n150 {size} bytes to download")
            }
        }
    }

    pub fn receiving(self, name: &str, ascii: bool) -> String {
        let mode = if ascii { "ASCII" } else { "BINARY" };
        match self {
            Self::Vsftpd => "150 Ok to send data.".into(),
            Self::Proftpd => format!("150 Opening {mode} mode data connection for {name}"),
            Self::PureFtpd => "150 Accepted data connection".into(),
        }
    }

    pub fn listing(self) -> &'static str {
        match self {
            Self::Vsftpd => "150 Here comes the directory listing.",
            Self::Proftpd => "150 Opening ASCII mode data connection for file list",
            Self::PureFtpd => "150 Accepted data connection",
        }
    }

    pub fn listed(self) -> &'static str {
        match self {
            Self::Vsftpd => "226 Directory send OK.",
            Self::Proftpd => "226 Transfer complete",
            Self::PureFtpd => "226-Options: -a -l\r\n226 all matches",
        }
    }

    pub fn transferred(self) -> &'static str {
        match self {
            Self::Vsftpd => "226 Transfer complete.",
            Self::Proftpd => "226 Transfer complete",
            Self::PureFtpd => {
                "226-File successfully transferred\r\n226 0.001 seconds (measured here), 1.00 Mbytes per second"
            }
        }
    }

    pub fn broken(self) -> &'static str {
        match self {
            Self::Vsftpd => "426 Failure writing network stream.",
            Self::Proftpd => "426 Transfer aborted. Data connection closed",
            Self::PureFtpd => "426 The data connection has been broken",
        }
    }

    pub fn no_data_connection(self) -> &'static str {
        match self {
            Self::Vsftpd => "425 Use PORT or PASV first.",
            Self::Proftpd => "425 Unable to build data connection: Connection refused",
            Self::PureFtpd => "425 No data connection",
        }
    }

    pub fn unknown(self, verb: &str) -> String {
        match self {
            Self::Vsftpd => "500 Unknown command.".into(),
            Self::Proftpd => format!("500 {verb} not understood"),
            Self::PureFtpd => "500 Unknown command".into(),
        }
    }

    pub fn log_in_first(self) -> &'static str {
        match self {
            Self::Vsftpd => "530 Please login with USER and PASS.",
            Self::Proftpd => "530 Please login with USER and PASS",
            Self::PureFtpd => "530 You aren't logged in",
        }
    }

    pub fn system(self) -> &'static str {
        match self {
            Self::Vsftpd | Self::PureFtpd => "215 UNIX Type: L8",
            Self::Proftpd => "215 UNIX Type: L8",
        }
    }

    pub fn bye(self) -> &'static str {
        match self {
            Self::Vsftpd => "221 Goodbye.",
            Self::Proftpd => "221 Goodbye.",
            Self::PureFtpd => "221-Goodbye. You uploaded 0 and downloaded 0 kbytes.\r\n221 Logout.",
        }
    }
}
