import io

import pytest

from buildless.errors import NodeError
from buildless.service import Account
from buildless.services.mysql import Nameless, ending, former, grant_sql, hosts, lock_sql, quoted, user_sql

PASSWORD = "0123456789abcdef" * 3


def test_a_user_has_its_own_database_alone():
    account = Account("mysql", "shop.staging", PASSWORD)
    assert user_sql(account, "localhost") == (
        f"CREATE USER IF NOT EXISTS `shop_staging`@'localhost' IDENTIFIED BY '{PASSWORD}';\n"
        f"ALTER USER `shop_staging`@'localhost' IDENTIFIED BY '{PASSWORD}' ACCOUNT UNLOCK;\n"
        "GRANT ALL ON `shop\\_staging`.* TO `shop_staging`@'localhost';\n"
    )
    assert grant_sql("shop", "10.0.0.1", "shop_0new") == "GRANT ALL ON `shop\\_0new`.* TO `shop`@'10.0.0.1';\n"


def test_addresses_of_nodes_that_there_were_are_closed():
    users = (
        "bank\t10.0.0.1\nshop\t%\nshop\t10.0.0.1\nshop\t10.0.0.2\nshop\t127.0.0.1\nshop\tfd00::7\n"
        "shop\tlocalhost\nshop\toffice.example.com\nshop_staging\t10.0.0.1\n"
    )
    account = Account("mysql", "shop", PASSWORD, host="10.0.0.9", clients=("10.0.0.2",))
    assert hosts(account) == ["localhost", "127.0.0.1", "10.0.0.2"]
    assert former(account, users) == ["10.0.0.1", "fd00::7"]
    assert lock_sql("shop", "10.0.0.1") == "ALTER USER IF EXISTS `shop`@'10.0.0.1' ACCOUNT LOCK;\n"


def test_what_is_loaded_says_at_its_end_that_it_is_whole():
    account = Account("mysql", "shop.staging", PASSWORD)
    assert ending(account) == b"\n;\nCREATE TABLE `shop_staging_0new`.gitdeploy_whole (whole int);\n"


@pytest.mark.parametrize("name", ["", "a`b", "a b", "A", "a'"])
def test_nothing_else_gets_into_sql(name):
    with pytest.raises(NodeError):
        quoted(name)
    with pytest.raises(NodeError):
        user_sql(Account("mysql", "shop", name), "localhost")
    with pytest.raises(NodeError):
        user_sql(Account("mysql", "shop", PASSWORD), f"x{name}")


DUMP = b"""\
/*!50013 DEFINER=`shop`@`localhost` SQL SECURITY DEFINER */
CREATE TABLE `a` (
  `b` text
);
INSERT INTO `a` VALUES ('/*!50013 DEFINER=`x`@`y`'),('CREATE DEFINER=`x`@`y`');
/*!50003 CREATE*/ /*!50017 DEFINER=`shop`@`localhost`*/ /*!50003 TRIGGER t */;
CREATE DEFINER=`shop`@`localhost` FUNCTION `f`() RETURNS int
no newline at the end"""


@pytest.mark.parametrize("size", [1, 3, 7, 50, 10_000])
def test_who_made_a_view_is_left_out_and_data_are_not_touched(size):
    out = io.BytesIO()
    nameless = Nameless(out)
    for start in range(0, len(DUMP), size):
        nameless.write(DUMP[start : start + size])
    nameless.end()
    assert out.getvalue() == (DUMP.replace(b" DEFINER=`shop`@`localhost`", b""))
